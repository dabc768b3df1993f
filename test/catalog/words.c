/* words.c -- the texts of the sample world, in 35 languages, all our own. */
#include "test/catalog/catalog.h"

const struct language language[LANGUAGES] = {
	{"en", "Update for ", "", "This update repairs faults in the product and closes gaps through which others could get at your data. "
		"Restart the computer if the installer asks for it. You can remove the update later."},
	{"ar", "تحديث ", "", "يصلح هذا التحديث أعطالا في المنتج ويغلق ثغرات قد يصل الآخرون عبرها إلى بياناتك. أعد تشغيل الكمبيوتر إذا طلب منك ذلك."},
	{"bg", "Актуализация за ", "", "Тази актуализация поправя грешки в продукта и затваря пропуски, през които други биха стигнали до данните ви. Рестартирайте, ако бъдете помолени."},
	{"cs", "Aktualizace pro ", "", "Aktualizace opravuje chyby produktu a zavírá mezery, kterými by se někdo mohl dostat k vašim datům. Je-li třeba, počítač restartujte."},
	{"da", "Opdatering til ", "", "Opdateringen retter fejl i produktet og lukker huller, som andre kunne bruge til at nå dine data. Genstart, når du bliver bedt om det."},
	{"de", "Aktualisierung für ", "", "Diese Aktualisierung behebt Fehler im Produkt und schließt Lücken, über die andere an Ihre Daten gelangen könnten. Starten Sie neu, wenn Sie dazu aufgefordert werden."},
	{"el", "Ενημέρωση για ", "", "Η ενημέρωση διορθώνει σφάλματα του προϊόντος και κλείνει κενά από τα οποία άλλοι θα έφταναν στα δεδομένα σας. Κάντε επανεκκίνηση αν σας ζητηθεί."},
	{"es", "Actualización de ", "", "Esta actualización corrige errores del producto y cierra huecos por los que otros podrían llegar a sus datos. Reinicie el equipo si se le pide."},
	{"et", "Värskendus tootele ", "", "Värskendus parandab toote vead ja sulgeb augud, mille kaudu võõrad võiksid teie andmeteni jõuda. Vajadusel taaskäivitage arvuti."},
	{"fi", "Päivitys: ", "", "Päivitys korjaa tuotteen virheitä ja sulkee aukkoja, joiden kautta muut voisivat päästä tietoihisi. Käynnistä tietokone uudelleen pyydettäessä."},
	{"fr", "Mise à jour pour ", "", "Cette mise à jour répare des défauts du produit et ferme des brèches par lesquelles d’autres atteindraient vos données\u00a0; redémarrez si on vous le demande."},
	{"he", "עדכון עבור ", "", "העדכון מתקן תקלות במוצר וסוגר פרצות שדרכן אחרים יכלו להגיע לנתונים שלך. הפעל מחדש אם תתבקש."},
	{"hr", "Ažuriranje za ", "", "Ažuriranje ispravlja pogreške u proizvodu i zatvara rupe kroz koje bi drugi došli do vaših podataka. Ponovno pokrenite računalo ako se to zatraži."},
	{"hu", "Frissítés: ", "", "A frissítés kijavítja a termék hibáit, és bezárja azokat a réseket, amelyeken át mások az adataihoz férnének. Kérésre indítsa újra a gépet."},
	{"it", "Aggiornamento per ", "", "L'aggiornamento corregge errori del prodotto e chiude le falle da cui altri potrebbero raggiungere i suoi dati. Riavviare se richiesto."},
	{"ja", "", " 用の更新プログラム", "この更新は製品の不具合を直し、他人がデータに近づける弱点をふさぎます。求められたら再起動してください。"},
	{"ko", "", "용 업데이트", "이 업데이트는 제품의 결함을 고치고 다른 사람이 데이터에 접근할 수 있는 틈을 막습니다. 요청이 있으면 다시 시작하십시오."},
	{"lt", "Naujinimas: ", "", "Naujinimas taiso gaminio klaidas ir užveria spragas, pro kurias kiti pasiektų jūsų duomenis. Jei prašoma, paleiskite kompiuterį iš naujo."},
	{"lv", "Atjauninājums: ", "", "Atjauninājums labo produkta kļūdas un aizver spraugas, pa kurām citi varētu piekļūt jūsu datiem. Ja tiek lūgts, restartējiet datoru."},
	{"nl", "Update voor ", "", "Deze update herstelt fouten in het product en sluit gaten waardoor anderen bij uw gegevens zouden kunnen. Start opnieuw als daarom wordt gevraagd."},
	{"no", "Oppdatering for ", "", "Oppdateringen retter feil i produktet og tetter hull som andre kunne bruke for å nå dataene dine. Start på nytt når du blir bedt om det."},
	{"pl", "Aktualizacja dla ", "", "Aktualizacja usuwa błędy produktu i zamyka luki, przez które inni dotarliby do danych użytkownika. Uruchom ponownie, jeśli pojawi się prośba."},
	{"pt", "Atualização para ", "", "Esta atualização corrige erros do produto e fecha falhas por onde outros chegariam aos seus dados. Reinicie se tal for pedido."},
	{"pt-br", "Atualização do ", "", "Esta atualização conserta erros do produto e fecha brechas pelas quais outras pessoas chegariam aos seus dados. Reinicie se for solicitado."},
	{"ro", "Actualizare pentru ", "", "Actualizarea repară erori ale produsului și închide breșe prin care alții ar ajunge la datele dumneavoastră. Reporniți dacă vi se cere."},
	{"ru", "Обновление для ", "", "Обновление исправляет ошибки продукта и закрывает бреши, через которые посторонние добрались бы до ваших данных. Перезагрузите компьютер, если потребуется."},
	{"sk", "Aktualizácia pre ", "", "Aktualizácia opravuje chyby produktu a zatvára medzery, cez ktoré by sa iní dostali k vašim údajom. Na požiadanie počítač reštartujte."},
	{"sl", "Posodobitev za ", "", "Posodobitev odpravi napake izdelka in zapre vrzeli, skozi katere bi drugi prišli do vaših podatkov. Če je treba, znova zaženite računalnik."},
	{"sr-latn-cs", "Ispravka za ", "", "Ispravka otklanja greške proizvoda i zatvara rupe kroz koje bi drugi došli do vaših podataka. Ponovo pokrenite računar ako se to traži."},
	{"sv", "Uppdatering för ", "", "Uppdateringen rättar fel i produkten och täpper till hål som andra kunde använda för att nå dina data. Starta om när du blir ombedd."},
	{"th", "การปรับปรุงสำหรับ ", "", "การปรับปรุงนี้แก้ข้อบกพร่องของผลิตภัณฑ์และปิดช่องโหว่ที่ผู้อื่นอาจใช้เข้าถึงข้อมูลของคุณ เริ่มระบบใหม่เมื่อมีการร้องขอ"},
	{"tr", "", " için güncelleştirme", "Bu güncelleştirme ürünün hatalarını giderir ve başkalarının verilerinize ulaşabileceği açıkları kapatır. İstenirse yeniden başlatın."},
	{"uk", "Оновлення для ", "", "Оновлення виправляє помилки продукту й закриває прогалини, крізь які сторонні дісталися б ваших даних. Перезавантажте комп’ютер, якщо буде потрібно."},
	{"zh-cn", "用于 ", " 的更新", "此更新修复产品中的错误，并堵住他人可能借以接触您数据的漏洞。如有提示，请重新启动。"},
	{"zh-tw", "適用於 ", " 的更新", "此更新修正產品的錯誤，並補上他人可能藉以取得您資料的漏洞。若出現要求，請重新啟動。"},
};

const char *const family_word[FAMILY_WORDS] = {"Harbour", "Office Desk", "Ledger Base", "Mail Room", "Guardian", "Workshop",
	"Lantern", "Gateway", "Studio", "Registry", "Courier", "Archive"};
const char *const product_word[PRODUCT_WORDS] = {"Client", "Server", "Server Core", "Embedded", "Reader", "Writer",
	"Planner", "Viewer", "Tables", "Engine", "Signatures", "Console", "Relay", "Runtime", "Toolkit", "Editor",
	"Broker", "Monitor", "Store", "Bridge", "Keeper", "Sensor", "Portal", "Drivers & Settings"};
const char *const arch_word[ARCHES] = {"x64", "x86", "arm64"};

const char *const class_word[CLASS__MAX] = {
	[CLASS_SECURITY] = "Security Updates",
	[CLASS_CRITICAL] = "Critical Updates",
	[CLASS_UPDATE] = "Updates",
	[CLASS_ROLLUP] = "Update Rollups",
	[CLASS_DEFINITION] = "Definition Updates",
	[CLASS_DRIVER] = "Drivers",
	[CLASS_FEATURE] = "Feature Packs",
	[CLASS_SERVICE] = "Service Packs",
	[CLASS_TOOL] = "Tools",
	[CLASS_UPGRADE] = "Upgrades",
};
const char *const class_guid[CLASS__MAX] = {
	[CLASS_SECURITY] = "0fa1201d-4330-4fa8-8ae9-b877473b6441",
	[CLASS_CRITICAL] = "e6cf1350-c01b-414d-a61f-263d14d133b4",
	[CLASS_UPDATE] = "cd5ffd1e-e932-4e3a-bf74-18bf0b1bbd83",
	[CLASS_ROLLUP] = "28bc880e-0592-4cbf-8f95-c79b17911d5f",
	[CLASS_DEFINITION] = "e0789628-ce08-4437-be74-2495b842f43b",
	[CLASS_DRIVER] = "ebfc1fc5-71a4-4f7b-9aca-3b9a503104a0",
	[CLASS_FEATURE] = "b54e7d24-7add-428f-8b75-90a396fa584f",
	[CLASS_SERVICE] = "68c5b0a3-d1a6-4553-ae49-01d3a7827828",
	[CLASS_TOOL] = "b4832bd8-e735-4761-8daf-37f882276dab",
	[CLASS_UPGRADE] = "3689bdc8-b205-4af4-8d4a-a63924c5e9d5",
};
