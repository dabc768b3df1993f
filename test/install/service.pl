#!/usr/bin/perl
# service.pl UNIT WORKERS -- a service as its unit says: user, group, directory, mask, command, and the socket of the
# socket unit as standard input.  What systemd does besides (its sandbox) is not done here.
use strict;
use warnings;
use IO::Socket::UNIX;

my ($name, $workers) = @ARGV;
my %unit;
for my $file (map { (glob("/usr/lib/systemd/system/$_ /lib/systemd/system/$_"))[0], glob("/etc/systemd/system/$_.d/*.conf") }
	"$name.service", "$name.socket")
{
	next unless defined $file && open my $lines, '<', $file;
	/^(\w+)=(.*)/ and $unit{$1} = $2 while <$lines>;
}
my $path = $unit{ListenStream};
mkdir '/run/wsus-fcgi', 0755;
unlink $path;
my $socket = IO::Socket::UNIX->new(Local => $path, Listen => $unit{Backlog}) or die "$path: $!";
chown 0, scalar getgrnam($unit{SocketGroup}), $path;
chmod oct $unit{SocketMode}, $path;
open STDIN, '<&', $socket or die $!;
chdir $unit{WorkingDirectory} or die "$unit{WorkingDirectory}: $!";
umask oct $unit{UMask};
my @limits = ('--no-new-privs', '--bounding-set=-all', '--inh-caps=-all');
exec 'setpriv', "--reuid=$unit{User}", "--regid=$unit{Group}", '--clear-groups', @limits, split(' ', $unit{ExecStart}), '-w', $workers;
