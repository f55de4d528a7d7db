//! The words by which a reply tells what it is about, in the languages that MTAs and their administrators write. The
//! order of the topics is the order in which they count: what may pass comes before what is dead.
//!
//! Words are in lower case and without accents, as `wording` makes them. Each matches at the beginning of a word; a
//! blank at its end ends that word, too. A word that is missing here costs a living address nothing as long as the
//! stage or a status tells. So the topics above `Missing` have more words than those below.

use crate::report::living_words::{FULL, LATER, LIMIT, POLICY, RATE, SENDER, SIZE};

/// What a reply is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// The mailbox, or the disk, is full.
    Full,
    /// The message is too large.
    Size,
    /// Mail that goes round.
    Loop,
    /// Too much in too short a time.
    Rate,
    /// Whoever sends: address, domain, host.
    Sender,
    /// The host does not take mail for that domain.
    Relay,
    /// An account that is blocked.
    Blocked,
    /// Blocklists, spam, authentication, content, rules.
    Policy,
    /// Some limit that is not named.
    Limit,
    /// The domain takes no mail, or is none.
    NoMail,
    /// Given up after a long time; network, DNS.
    Expired,
    /// There is no such address.
    Missing,
    /// An IP address, with no more about it.
    Client,
    /// It may work later.
    Later,
    /// The address was there: closed, disabled, moved.
    Closed,
    /// A refusal that does not say of what, or of a message.
    Refused,
    /// Nothing that can be read.
    Unsaid,
}

/// Phrases that hold a word of a topic and are about none.
#[rustfmt::skip]
pub const NEUTRAL: &[&str] = &[
    " return to sender ", " returned to sender ", " to the sender ", " contact the sender ", " sent helo ",
    " sent ehlo ", " detail unknown ", " unknown error ", " unknown reason ", " unknown problem ",
    " unknown cause ", " unknown command ", " unknown failure ", " unknown mailer ", " unknown mail transport ",
    " unknown option ", " unknown parameter ", " unknown status ", " name not allowed ", " non usage ",
    " in reply to rcpt to command ", " delivery is not allowed ", " delivery not allowed ", " delivery is not permitted ",
    " delivery not permitted ", " recipient not permitted ", " recipient is not permitted ", " storage error ", " full name ", " full details ", " full text ", " nombre completo ", " nao pode ser entregue ",
];

/// Each topic with its words. `Blocked` and part of `Refused` are told by two words that stand together.
pub const TOPICS: &[(Topic, &[&str])] = &[
    (Topic::Full, FULL),
    (Topic::Size, SIZE),
    (Topic::Loop, LOOP),
    (Topic::Rate, RATE),
    (Topic::Sender, SENDER),
    (Topic::Relay, RELAY),
    (Topic::Blocked, BLOCKED),
    (Topic::Policy, POLICY),
    (Topic::Limit, LIMIT),
    (Topic::NoMail, NO_MAIL),
    (Topic::Expired, EXPIRED),
    (Topic::Missing, MISSING),
    (Topic::Client, &["ip "]),
    (Topic::Later, LATER),
    (Topic::Closed, CLOSED),
    (Topic::Refused, &["access denied", "denied ", "refused ", "rejected "]),
];

#[rustfmt::skip]
const RELAY: &[&str] = &[
    "permitted to relay", "allowed to relay", "unable to relay", "cannot relay", "can not relay", "not relay", "no relay", "relaying is not",
    "as a relay but",
    "rcpthosts", "not a gateway", "find a gateway",
];

/// Words for handing mail on for strangers. Most languages have the English one.
#[rustfmt::skip]
pub const RELAYING: &[&str] = &[
    "relay", "relais ", "retransmis", "reencamin", "ретрансляц", "пересылк", "中继", "中繼", "轉發", "转发", "中継", "릴레이",
];

/// Words that forbid, or refuse, beside `REFUSED`.
#[rustfmt::skip]
pub const FORBIDDEN: &[&str] = &[
    "not permitted", "not allowed", "not possible", "not supported", "disallow", "prohibit", "forbidden", "disabled", "no permit", "prohibid", "denegad",
    "proibid", "negad", "nao permit", "vietat", "negat", "non consent", "non permess", "interdit", "non autor", "pas autor", "nicht erlaubt",
    "nicht gestattet", "verboten", "verweigert", "untersagt", "niet toegestaan", "verboden", "ej tillat", "inte tillat", "ikke tillat",
    "ikke tilladt", "zabronion", "niedozwol", "zakazan", "nepovolen", "tiltott", "nem engedely", "yasak", "izin verilm", "запрещ",
    "заборон", "禁止", "不允许", "不允許", "できません", "허용되지", "금지",
];

/// Words that tell of a fault, of what is asked on the way: a directory, a database.
#[rustfmt::skip]
pub const FAULT: &[&str] = &[
    "error", "fail", "down ", "trouble", "problem", "unavail", "not available", "unreach", "time", "server", "bind", "connect", "busy",
    "lookup", "quer", "not respond", "not answer", "not reach",
];

/// Words for a rule about whoever sends, whatever else is said.
#[rustfmt::skip]
pub const RULE: &[&str] = &[
    "open relay", "polic", "rule ", "reputation", "spam", "blacklist", "blocklist", "blocked", "authenticat", "unsolicited", "junk",
];

/// Words for what is blocked; of whom, another word tells.
#[rustfmt::skip]
pub const BLOCKED: &[&str] = &[
    "blocked", "locked", "bloquead", "bloque ", "bloquee ", "bloccat", "gesperrt", "blockiert", "geblokkeerd", "zablokowan",
    "zablokovan", "blocat", "blokirovan", "заблокир", "заблоков", "被封", "被锁", "冻结",
];

/// Words for an account that ended, whatever the reason: `account was closed for abuse`.
pub const ENDED: &[&str] = &[
    "was closed ",
    "been closed ",
    "terminat",
    "deleted",
    "deactivat",
    "disabled",
];

/// Words for a mailbox, as what is blocked.
#[rustfmt::skip]
pub const ACCOUNT: &[&str] = &[
    "account ", "mailbox ", "box ", "inbox ", "subscription ", "cuenta ", "casilla ", "buzon ", "conta ", "compte ", "boite ", "konto ", "postfach ", "casella ",
    "skrzynka ", "schranka ", "cont ", "ящик ", "аккаунт ", "账户", "帐号", "账号", "邮箱",
];

#[rustfmt::skip]
const LOOP: &[&str] = &[
    "too many hops", "hop count", "hops ", "loop ", "loops ", "looping", "routing loop", "bucle", "boucle", "schleife", "petl",
];

#[rustfmt::skip]
const NO_MAIL: &[&str] = &[
    "null mx", "nullmx", "no smtp service", "no mail service", "not accept mail", "not accept any", "not accept email",
    "not accept e mail", "not receive mail",
    "not receive email", "not receive any", "takes no mail", "take no mail",
    "accepts no mail", "accept no mail", "accepts no email", "never accept", "no mail is accepted", "not handle mail",
    "not handle email", "not support mail", "not support email", "not use email", "no mail exchanger", "no mail server", "no mx ",
    "no valid mx", "without mx", "without an mx", "mx is a dot", "nonexistent domain", "non existent domain", "domain nonexistent",
    "nxdomain", "error domain name not found", "no such domain", "no such host", "no acepta correo", "no recibe correo", "nao aceita e mail", "nao aceita email",
    "nao recebe", "non accetta posta", "non riceve posta", "n accepte pas de mail", "n accepte pas de courr", "nimmt keine mail",
    "nimmt keine e mail", "nimmt keine post", "accepteert geen mail", "nie przyjmuje poczty", "не принимает почту",
    "не приймає пошту", "不接收邮件", "不接受邮件", "メールを受け付けて", "메일을 받지",
];

#[rustfmt::skip]
const EXPIRED: &[&str] = &[
    "expire", "expirad", "expired", "timed out", "timeout", "time out", "connection refused", "connection reset", "connection lost",
    "connection closed", "connection dropped", "connection failed", "lost connection", "no route to host", "no route to network", "network is unreachable",
    "host is unreachable", "unreachable network", "unreachable host", "network error", "not responding", "not respond",
    "no response", "no answer", "could not connect", "can not connect", "cannot connect", "unable to connect", "failed to connect",
    "retry time", "retries", "been failing", "in the queue", "in queue", "delayed", "delivery time", "too old", "servfail", "internal error", "internal server", "internal trouble", "server failed", "server error", "system error",
    "server failure", "query failed", "dns error", "dns failure", "dns server", "dns lookup", "dns soft", "dns query", "server reply",
    "server unavailable", "server is unavailable", "server not available", "service unavailable", "host unavailable", "was dropped", "not found try again", "still undelivered",
    "tiempo de espera", "tempo esgotado", "tempo scaduto", "scadut", "delai", "zeituberschreitung", "zeitlimit", "abgelaufen",
    "nicht erreichbar", "verlopen", "uplynal czas", "wygasl", "vyprsel", "lejart", "zaman asimi", "истек", "таймаут", "минув",
    "超时", "超時", "过期", "タイムアウト", "期限", "시간 초과", "만료",
    // What holds the mailbox is broken, and so it is there
    "corrupt", "korrupt", "corromp", "corrott", "damaged", "inconsisten", "beschadig", "danneggi", "endommag", "danad", "danific", "uszkodz", "poskoz",
    "поврежд", "пошкодж", "serult", "hasarli", "vioitt", "skadad", "skadet", "beskadig", "odelagt", "破損", "損傷", "损坏", "損壞", "손상",
];

/// Words for an address that is not there, beside the pairs of words in `absence`.
#[rustfmt::skip]
pub const MISSING: &[&str] = &[
    "niemand", "nessuno", "nadie", "nikt ", "nikdo", "никто", "kimse", "frozen", "not reside", "не прожива", "not handled", "in gebruik",
    "no es correct", "errat", "erronee", "errone ", "personne ", "отсутств", "відсутн", "nincs", "not correct", "nicht bedient",
    "no route to recipient", "has left us", "unknown", "nonexist", "inexist", "unable to find", "able to find", "unrecogni", "invalid",
    "nobody", "no one ", "there is no", "not local", "not a local", "non local", "not have a", "not have an", "not here", "not on this",
    "not in our", "not in my", "not in the directory", "typo", "misspell", "spelling", "bad recipient", "bad address", "bad destination",
    "bad mailbox", "bad user", "badrcptto", "illegal alias", "illegal recipient", "illegal address", "illegal user", "unrout",
    "undeliverable to", "undeliverable address", "not deliverable", "not host ", "final delivery userid", "final email delivery",
    "name or service", "verification failed", "recipient lookup", "could not be resolved", "not be resolved", "null recipient",
    // Spanish, Portuguese, Catalan, Italian, French, Romanian
    "desconocid", "no hay ", "incorrect", "desconhecid", "desconegut", "sconosciut", "inconnu", "existe pas", "introuvable", "necunoscut",
    // German, Dutch, Swedish, Norwegian, Danish, Finnish
    "unbekannt", "ungultig", "kein solche", "onbekend", "ongeldig", "okand", "hittades inte", "existerar inte", "ogiltig", "ukendt",
    "ugyldig", "ukjent", "eksisterer ikke", "tuntemat", "virheellinen",
    // Polish, Czech, Slovak, Croatian, Slovene, Hungarian, Turkish, Indonesian, Vietnamese, Esperanto
    "nieznan", "nieistniej", "nie ma takie", "nie ma uzytk", "nieprawidlow", "brak takie", "neznam", "neexist", "nenalezen", "neplatn",
    "nenajden", "nepoznat", "ne postoji", "neznan", "ne obstaja", "ismeretlen", "ervenytelen", "bilinmeyen", "bulunama", "mevcut degil",
    "gecersiz", "boyle bir", "tidak ada", "khong tồn tại", "khong tim", "nekonat", "ne ekzist",
    // Russian, Ukrainian, Bulgarian, Serbian, Greek
    "неизвест", "несуществ", "нет таког", "такого пользователя", "неверн", "невідом", "не існу", "непознат", "не е намерен", "не постоји",
    "αγνωστ", "δεν βρεθηκε",
    // Hebrew, Arabic, Persian, Chinese, Japanese, Korean, Thai
    "לא קיים", "אינו קיים", "לא נמצא", "לא מוכר", "غير موجود", "غير معروف", "لا يوجد", "وجود ندارد", "不存在", "无此", "無此", "没有此", "没有这", "查无",
    "查無", "找不到", "未找到", "无效", "無效", "未知", "不正确", "不正確", "存在し", "見つか", "不明", "該当", "ありません", "존재하지", "알 수 없", "찾을 수 없", "ไมพบ", "ไมมี",
    "that name", "this name", "such name", "that login", "called that", "never heard", "who is that", "who is this", "not one of ours",
    "none of our", "none of them", "wrong address", "wrong recipient", "wrong mailbox", "wrong user", "points nowhere", "nowhere",
    "expanded to nothing", "unassigned", "unprovisioned", "on file", "account holder called", "con questo nome", "a ce nom", "de ce nom",
    "con ese nombre", "com esse nome", "com este nome", "dieses namens", "diesem namen", "таким имен", "o tej nazwie", "takiej nazwie",
    "det namnet", "det navn", "dette navn", "die naam", "deze naam", "bu isimde", "bu adla", "tohoto jmena", "timto jmenem", "acest nume",
    "ilyen nev", "keine solche", "falsche adresse", "attribue", "inesistent", "no tenemos", "nao ha ", "nao temos", "ingen sadan",
    "ingen slik", "nie mamy", "zde neni", "takovy uziv", "takova schran", "у нас нет", "такого адреса", "такой адрес", "такого ящика",
    "такої скринь", "такого користув", "няма такъв", "няма такава", "не е регистр", "taninm", "yanlis adres", "nav atrast", "nepastav",
    "nerast", "neegzist", "ei eksist", "tapilmad", "没有该", "沒有該", "地址有误", "地址有誤", "无该", "未注册", "未註冊", "ございません", "登録されて", "未登録", "등록되지",
    "등록 되지", "그런 사용자", "kenne ich nicht", "no conozco", "ken ik niet", "misspelt", "has no home", "ported out",
];

/// Words for what takes mail, as what is unavailable; where a mailbox is meant, it is named.
#[rustfmt::skip]
pub const SERVICE: &[&str] = &[
    "server", "service", "smtp", "esmtp", "lmtp", "host ", "system", "gateway", "servic", "serviz", "serveur", "servidor", "dienst",
    "serwis", "serwer", "sluzb", "tjanst", "sistem", "hizmet", "sunucu", "сервис", "сервер", "служб", "система", "サーバ", "サービス", "服务", "服務",
    "系统", "系統", "서버", "서비스", "시스템",
];

/// Words that tell nothing of what is away.
#[rustfmt::skip]
pub const UNAVAILABLE: &[&str] = &[
    "unavailable", "not available", "no disponible", "indispon", "non disponibile", "nao disponivel", "nicht verfugbar", "niet beschikbaar",
    "niedostepn", "nedostupn", "недоступ", "otillganglig", "kullanilamiyor", "利用でき", "不可用", "사용할 수 없",
];

/// Words for an address that was there.
#[rustfmt::skip]
pub const CLOSED: &[&str] = &[
    // People who left, and what is no longer.
    "employee", "departed", "graduated", "passed away", "deceased", "empleado", "ya no ", "fallec", "dipendente", "non piu", "non e piu",
    "piu parte", "deced", "n est plus", "n existe plus", "mitarbeiter", "ausgeschieden", "verstorben", "medewerker", "uit dienst",
    "vertrokken", "pracownik", "juz nie", "nie jest juz", "nao e mais", "nao faz mais", "funcionari", "trabalha ", "сотрудник", "уволен",
    "больше не", "artik", "ayrildi", "zamestnan", "odesel", "jiz ne", "uz ne", "slutat", "inte langre", "退職", "离职", "離職", "不再", "퇴사",
    "더 이상", "disabled", "deactivat", "inactiv", "not active", "not an active", "suspended", "suspension", "terminat", "closed",
    "discontinu", "given up", "abandon", "cancel", "deleted", "removed", "retired", "left the", "has left", "no longer", "moved", "expired",
    "expirad", "expire ", "dormant", "unavailable", "not available", "recipient address rejected", "recipient rejected",
    "recipient refused", "recipient denied", "recipient not accepted", "address rejected", "address refused", "address not accepted",
    "user rejected", "user denied", "mailbox denied", "mailbox rejected", "not accepting messages", "not accepting mail", "desactivad",
    "deshabilitad", "inhabilitad", "suspendid", "cerrad", "cancelad", "eliminad", "de baja", "no disponible", "desativad", "suspens",
    "encerrad", "excluid", "nao disponivel", "indispon", "disabilitat", "disattivat", "sospes", "chius", "cessat", "non disponibile",
    "non attiv", "desactiv", "suspendu", "ferme ", "fermee ", "cloture", "resilie", "supprime", "deaktiv", "stillgelegt", "geschlossen",
    "geloscht", "nicht mehr", "gekundigt", "abgeschaltet", "nicht verfugbar", "nicht aktiv", "gedeactiv", "opgeheven", "uitgeschakeld",
    "niet meer", "inaktiv", "avstang", "avslutat", "lukket", "nedlagt", "stengt", "suljettu", "nieaktywn", "wylaczon", "zamkniet",
    "usuniet", "niedostepn", "zrusen", "zakazan ucet", "nedostupn", "megszunt", "letilt", "nem elerheto", "dezactivat", "inchis",
    "devre disi", "kapatil", "askiya", "dinonaktifkan", "отключен", "удален", "неактив", "закрыт", "деактив", "недоступ", "вимкнен",
    "видален", "απενεργοποι", "停用", "禁用", "注销", "註銷", "已删除", "关闭", "關閉", "停止", "無効", "退会", "解約", "削除", "使われて", "휴면", "정지", "탈퇴", "해지",
    "מושבת", "معطل", "gone ", "vanished", "erased", "wiped", "purged", "obsolete", "decommission", "defunct", "dissolved", "ceased",
    "withdrawn", "dropped", "archived", "dead ", "turned off", "switched off", "left this", "left our", "works elsewhere", "laid off",
    "resigned", "graduat", "handled here any", "unsubscribed", "shut down", "entfernt", "erloschen", "aufgelost", "abgemeldet",
    "weggezogen", "verzogen", "verwijderd", "afgesloten", "beeindigd", "clos ", "radie", "supprim", "desinscri", "borrad", "extint",
    "apagad", "removid", "desligad", "rimoss", "cancellat", "dismess", "non lavora", "upphort", "borttag", "raderad", "raderat",
    "avregistr", "slettet", "fjernet", "opphort", "ophort", "udgaet", "poistettu", "lakkaut", "skasowan", "zlikwidow", "nie pracuje",
    "smazan", "vymazan", "odstranen", "ликвидир", "выключен", "изтрит", "обрисан", "obrisan", "ukinut", "ukinjen", "izbrisan", "sters ",
    "desfiint", "torolt", "silin", "pasif", "διαγραφ", "καταργ", "נמחק", "הוסר", "حذف", "محذوف", "ملغى", "删除", "刪除", "废弃", "廢棄", "作废", "作廢",
    "廃止", "ご利用いただけません", "ご利用になれません", "使用されて", "삭제", "폐쇄", "사용 중지", "사용중지", "dihapus", "dzest", "istrint", "kustutat", "vervallen", "lapsed",
    "non presente", "taken away", "is no more ", "any longer", "out of use", "deprovision", "dejo de ", "c e piu ", "unlisted", "غير مسجل",
    "پیدا نشد", "地址错误", "地址錯誤", "с ошибкой",
];

/// Words for a message, as what is refused.
#[rustfmt::skip]
pub const MESSAGE: &[&str] = &[
    "message", "mensaje", "mensagem", "messagg", "nachricht", "bericht", "meddeland", "melding", "wiadomosc", "zprav", "sprav",
    "uzenet", "mesaj", "viesti", "mail ", "correo ", "сообщени", "письмо", "повідомлення", "μηνυμα", "邮件", "郵件", "信件", "メッセージ",
    "メール", "메시지", "메일", "הודעה", "رسالة",
];

/// Those of them that people say for an address as well: `este correo no existe`.
pub const MAIL: &[&str] = &["mail ", "correo ", "メール", "메일"];

/// Words for a piece of a message or of a session, as what is invalid or closed.
#[rustfmt::skip]
pub const PIECE: &[&str] = &[
    "header", "format", "syntax", "command", "argument", "parameter", "line ", "body ", "date ", "character", "charset", "encoding", "data ",
    "session", "connection", "transaction", "sequence", "certificate", "request ", "greeting ", "key ", "client ", "relay ", "route ", "conexion", "connexion", "verbindung", "соединен",
];

/// Words for what a mailbox is kept in on a disk.
pub const FILE: &[&str] = &["file ", "index ", "lock ", "lockfile", "maildir "];

/// Words for a domain, as what is unknown or closed.
#[rustfmt::skip]
pub const DOMAIN: &[&str] = &[
    "domain", "domini", "domen", "domein", "doman", "alan ad", "домен", "域名", "ドメイン", "도메인", "host ", "hosts ", "site ", "server",
];

/// Words for an account whose time is over, behind those for an account.
#[rustfmt::skip]
pub const LAPSED: &[&str] = &[
    "expire", "expirad", "expired", "scadut", "abgelaufen", "verlopen", "wygasl", "vyprsel", "lejart", "истек", "过期", "期限切れ", "만료",
];

/// Words for a message that was given up, behind those.
pub const GIVEN_UP: &[&str] = &["expired", "abgelaufen", "verlopen", "истек", "timed out"];

/// Words for a refusal.
#[rustfmt::skip]
pub const REFUSED: &[&str] = &[
    "rejected", "refused", "denied", "declined", "not accepted", "not taken", "will not accept", "wo not accept",
    "reject", "refuse", "rechazad", "rejeitad", "recusad", "rifiutat", "respint", "abgelehnt",
    "abgewiesen", "zuruckgewiesen", "geweigerd", "avvisa", "afvist", "avvist", "odrzucon", "odmitnut", "zamietnut", "visszautas",
    "no acept", "no se acept", "nao aceit", "non accett", "non si accett", "n accept", "nehmen kein", "nicht angenommen", "accepteren geen",
    "nie przyjm", "не принима", "не прийма", "kabul edilm", "受け取れ", "受け付けませ", "받지 않", "不接受", "不接收", "tar inte emot", "neprijim",
    "elutasit", "reddedil", "hylat", "отклонен", "отвергнут", "відхилен", "απορριφθηκε", "被拒", "拒绝", "拒絕", "拒否", "거부", "נדחתה",
    "مرفوض",
];

/// Words for a person or a mailbox: what a reply is about that says no more.
#[rustfmt::skip]
pub const PERSON: &[&str] = &[
    "mailadres", "emailadres", "rcpt ", "subscriber", "maildrop", "mail drop ", "mailbag", "addressee", "adressat", "geadresseerde",
    "correspondant", "hesap", "hesab", "абонент", "편지함", "아이디", "利用者", "user", "recip ", "recipient", "mailbox", "mail box", "account", "address", "alias", "inbox", "customer",
    "person", "usuari", "destinatari", "buzon", "casilla", "cuenta", "direccion", "caixa", "conta ", "endereco", "bustia", "utente",
    "casella", "indirizzo", "utilisateur", "destinataire", "boite", "compte", "adres", "benutzer", "empfanger", "postfach", "konto",
    "nutzer", "gebruiker", "ontvanger", "postbus", "mottagar", "anvandar", "brevlada", "modtager", "bruger", "mottaker", "bruker",
    "postkasse", "vastaanottaj", "kayttaj", "uzytkownik", "odbiorc", "skrzynk", "uzivatel", "prijemc", "schrank", "cimzett", "felhasznal",
    "postafiok", "destinatar", "utilizator", "casut", "kullanici", "alici", "posta kutusu", "pengguna", "penerima", "người dung",
    "người nhận", "hộp thư", "получател", "пользовател", "ящик", "адрес", "користувач", "одержувач", "отримувач", "скринь", "потребител",
    "παραληπτ", "χρηστ", "γραμματοκιβωτι", "用户", "用戶", "收件人", "收信人", "邮箱", "郵箱", "信箱", "帐号", "账号", "账户", "地址", "ユーザ", "宛先", "受信者", "アドレス",
    "アカウント", "사용자", "수신", "사서함", "계정", "주소", "משתמש", "נמען", "תיבת", "مستخدم", "مستلم", "المستلم", "صندوق", "کاربر",
];

/// Words for whoever sends, or for a piece of the message, as what a refusal is about that says no more:
/// `your network`, `the subject`.
#[rustfmt::skip]
pub const SENDING: &[&str] = &[
    "you ", "your ", "yours ", "subject ", "subjects ", "ihr ", "ihre ", "ihrem ", "ihren ", "ihrer ", "ihnen ", "votre ", "vos ", "vous ", "usted ", "sus ",
    "vostro ", "vostra ", "vostri ", "seu ", "sua ", "seus ", "suas ", "suoi ", "da lei ", "voce ", "uw ", "jouw ", "deres ", "twoj ", "twoja ", "twoje ", "panstwa ",
    "vase ", "vasi ", "vam ", "teidan ", "sinun ", "ваш ", "ваша ", "ваше ", "ваши ", "вашего ", "вашей ", "вам ", "вас ",
    "sizin ", "sizden ", "您", "你", "あなた", "貴", "귀하", "당신", "betreff", "objet ", "asunto", "assunto", "oggetto", "onderwerp", "amne ", "emne ", "temat ",
    "predmet", "тема ", "темы ", "теме ", "件名", "主题", "主旨", "제목",
];

/// Words for where mail comes from, before a word for whom nobody knows: `von Unbekannten`.
pub const FROM: &[&str] = &[
    "from ", "von ", "da ", "de ", "des ", "d ", "от ", "від ", "od ", "van ", "fran ", "fra ",
];

/// Words for whom nobody knows.
#[rustfmt::skip]
pub const UNKNOWN: &[&str] = &[
    "unknown", "unbekannt", "sconosciut", "desconocid", "desconhecid", "inconnu", "неизвест", "невідом", "nieznan", "neznam", "onbekend",
    "okand", "ukendt", "ukjent", "stranger",
];

/// Words for what is the sender's, before a word for a host.
#[rustfmt::skip]
pub const OWN: &[&str] = &[
    "your ", "votre ", "vos ", "tu ", "vostro ", "vostra ", "suo ", "seu ", "sua ", "ihr ", "ihre ", "ihrem ", "ihren ", "ihrer ", "uw ",
    "er ", "ert ", "din ", "deres ", "jeres ", "twoj ", "twojego ", "twojej ", "panstwa ", "vas ", "vaseho ", "vasi ", "ваш ", "вашего ", "вашему ",
    "вашей ", "вашого ", "вашої ", "您的", "你的", "あなたの", "貴社の", "귀하의 ",
];

/// Words for a host, its address or its network, as what is the sender's.
#[rustfmt::skip]
pub const HOST: &[&str] = &[
    "domain", "domini", "domen", "domein", "doman", "домен", "域名", "ドメイン", "도메인", "host", "hote", "хост", "узл", "узел", "主机", "ip", "mta",
    "server", "serveur", "servidor", "serwer", "сервер", "服务器", "邮件服务器", "サーバ", "서버", "mailserver", "machine", "network", "netz", "reseau",
    "red ", "rede ", "rete ", "netwerk", "nat ", "net ", "nett", "siec", "siti", "сети", "мереж", "네트", "ネットワーク", "isp ", "provider", "provedor",
    "proveedor", "fournisseur", "leverantor", "dostawc", "poskytovatel", "провайдер", "통신사", "运营商", "greeting", "почтовый",
];

/// Names of blocklists, as they stand in a URL.
#[rustfmt::skip]
pub const BLOCKLISTS: &[&str] = &[
    "openspf", "dmarc", "spamhaus", "spamcop", "barracudacentral", "sorbs", "abuseat", "dnsbl", "rbl.", "/rbl",
    "bl?ip", "blocklist", "blacklist", "senderscore", "uceprotect", "invaluement", "senderbase",
    "talosintelligence", "/delist", "psbl", "mailspike",
];
