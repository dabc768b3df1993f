#!/bin/sh
# t_catalog.sh -- the sample catalog keeps its promises: same options, same bytes; no dangling reference;
# sizes and digests as the content files have them; every feature there.
# usage: test/unit/t_catalog.sh [make-catalog]      (from the project's root)
# shellcheck disable=SC2317 # the checks are called by name
# shellcheck source=test/unit/begin.sh
. test/unit/begin.sh
make_catalog=${1:-build/test/make-catalog}

same_options_give_same_bytes()
{
	"$make_catalog" --revisions 300 --languages 3 --content --out "$tmp/b" >"$tmp/log" && diff -r "$tmp/a" "$tmp/b"
}

another_seed_gives_another_world()
{
	"$make_catalog" --revisions 300 --languages 3 --seed 2 --out "$tmp/c" >"$tmp/log" &&
		! diff -rq "$tmp/a/updates" "$tmp/c/updates" >"$tmp/log"
}

as_many_documents_as_asked_for()
{
	[ "$(find "$tmp/a/updates" -name '*.xml' | wc -l)" -eq 300 ]
}

names_are_identities()
{
	grep -o '<upd:UpdateIdentity UpdateID="[^"]*" RevisionNumber="[0-9]*" /><upd:Properties' "$tmp"/a/updates/*/*.xml |
		tr A-F a-f | sed -n 's|.*/updates/\(..\)/\([^/]*\)\.xml:.*"\(.*\)" .*="\(.*\)".*|\2 \3-r\4 \1 \3|p' >"$tmp/names"
	[ "$(awk '$1 == $2 && index($4, $3) == 1' "$tmp/names" | wc -l)" -eq 300 ]
}

every_reference_has_its_document()
{
	awk '{ print $2; sub(/-r.*/, "", $2); print $2 }' "$tmp/names" | sort -u >"$tmp/there"
	grep -oh '<upd:UpdateIdentity [^>]*' "$tmp"/a/updates/*/*.xml | tr A-F a-f |
		sed 's/.*updateid="//I; s/" revisionnumber="\([0-9]*\)".*/-r\1/I; s/".*//' | sort -u >"$tmp/wanted"
	[ -s "$tmp/wanted" ] && [ -z "$(comm -13 "$tmp/there" "$tmp/wanted")" ]
}

base64_to_hex()
{
	base64 -d | od -An -v -tx1 | tr -d ' \n'
}

# Lines "sha1 sha256 size name", sorted: once as the documents say, once as the files are.
sizes_and_digests_are_those_of_the_files()
{
	grep -oh '<upd:[A-Za-z]*File Digest=.[^/]*[^<]*<upd:AdditionalDigest[^<]*' "$tmp"/a/updates/*/*.xml | sort -u |
		sed 's/.*File Digest="\([^"]*\)".*FileName="\([^"]*\)" Size="\([^"]*\)".*SHA256">\(.*\)/\1 \4 \3 \2/' >"$tmp/rows"
	while read -r sha1 sha256 size name; do
		echo "$(printf %s "$sha1" | base64_to_hex) $(printf %s "$sha256" | base64_to_hex) $size $name"
	done <"$tmp/rows" | sort -u >"$tmp/said"
	(cd "$tmp/a/content" && for f in *; do
		a=$(sha1sum "$f") b=$(sha256sum "$f")
		echo "${a%% *} ${b%% *} $(wc -c <"$f") $f"
	done) | sort >"$tmp/are"
	[ -s "$tmp/said" ] && diff "$tmp/said" "$tmp/are"
}

every_feature_occurs()
{
	for what in 'CategoryType="Company"' 'CategoryType="ProductFamily"' 'CategoryType="Product"' \
		'CategoryType="UpdateClassification"' 'UpdateType="Detectoid"' 'UpdateType="Driver"' ' ExplicitlyDeployable="true"' \
		'<upd:SupersededUpdates>' '<upd:BundledUpdates><upd:AtLeastOne>' '<upd:BundledUpdates><upd:UpdateIdentity' \
		' EulaID="' 'GeoId="USA"' 'PatchingType="Express"' 'PatchingType="SelfContained"' \
		'PublicationState="Expired"' ' RevisionNumber="201" /><upd:Properties' ' RevisionNumber="202" /><upd:Properties' \
		'xsi:type="cmd:CommandLineInstallation"' 'xsi:type="cbs:Cbs"' 'xsi:type="msp:WindowsInstaller"' \
		'xsi:type="drv:WindowsDriver"' '<drv:FeatureScore ' ' Class="Printer"' '<drv:CompatibleProvider>' ' MsrcSeverity="' \
		'<upd:SecurityBulletinID>' '<upd:KBArticleID>' '<upd:MoreInfoUrl>' ' OSUpgrade="' 'VEN_1D0F&amp;DEV_'; do
		grep -qr "$what" "$tmp/a/updates" || { echo "missing: $what" && return 1; }
	done
}

a_big_document_is_as_big_as_asked_for()
{
	"$make_catalog" --revisions 300 --languages 1 --big-document 3 --out "$tmp/d" >"$tmp/log" &&
		[ "$(find "$tmp/d/updates" -name '*.xml' -size +3000k -size -5000k | wc -l)" -eq 1 ]
}

nonsense_is_refused()
{
	for bad in '--revisions 5' '--languages 99' '--seed x' '--no-such' 'word'; do
		# shellcheck disable=SC2086  # two words on purpose
		"$make_catalog" $bad --out "$tmp/e" 2>"$tmp/log" && return 1
	done
	[ ! -e "$tmp/e" ]
}

"$make_catalog" --revisions 300 --languages 3 --content --out "$tmp/a" >"$tmp/log"
for t in same_options_give_same_bytes another_seed_gives_another_world as_many_documents_as_asked_for \
	names_are_identities every_reference_has_its_document sizes_and_digests_are_those_of_the_files \
	every_feature_occurs a_big_document_is_as_big_as_asked_for nonsense_is_refused; do
	check "$t" "$t"
done
exit $failed
