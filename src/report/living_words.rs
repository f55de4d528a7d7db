//! The words of what passes or is about the message, in the languages that MTAs and their administrators write. An
//! address that lives answers like this. `topics` says how words are written, and in which order topics count.

/// The mailbox or the disk is full.
#[rustfmt::skip]
pub const FULL: &[&str] = &[
    "piu posto", "non c e posto", "senza posto", "percent", "usage", "ceiling", "free bytes", "has reached", "have reached", "been reached", "reached its", "alcanzad", "alcanco", "atingi", "atteint", "erreicht", "erschopft",
    "raggiunt", "bereikt", "osiagn", "dosegl", "natt ", "elerte", "ulasti", "достиг", "законч", "места", "місця", "tamano",
    "maximo ", "maxima ", "massim",
    "capacity", "capacid", "capacit", "kapazit", "kapasit", "overflow", "cannot hold", "can not hold", "not hold more", "no more mail",
    "any more mail", "more messages", "allotment", "allowance", "allocat", "stuffed",
    "overdrawn", "file too large", "edquot", "enospc",
    "quota", "overquota", "full ", "storage", "disk space", "disc space", "space left", "out of space", "space ", "no place for", "no room", "space not enough",
    "enough space", "enough room", "enough disk", "insufficient space", "insufficient disk", "insufficient system", "mailbox exceed",
    "inbox exceed", "mailbox has exceed",
    "account exceed", "mailbox size", "mail box size", "inbox size", "maildir size", "account size", "exceeds allowed size", "exceeds its allowed size", "used up",
    "exceeded the local limit", "mailbox limit", "mail box limit", "inbox limit", "too many messages on", "not been collected",
    // Spanish, Portuguese, Catalan, Italian, French, Romanian
    "llen", "cuota", "sin espacio", "espacio", "chei", "lotad", "cota ", "espaco", "ple ", "plena ", "pien", "spazio", "plein",
    "espace", "sature", "plin",
    // German, Dutch, Swedish, Norwegian, Danish, Finnish
    "voll ", "uberfull", "ubervoll", "kontingent", "speicher", "platz", "vol ", "opslag", "schijfruimte", "fylld", "fuld ",
    "fyldt", "kvot", "lagring", "taynna", "taysi", "kiintio",
    // Polish, Czech, Slovak, Croatian, Hungarian, Turkish, Indonesian, Vietnamese, Esperanto
    "przepeln", "pelna ", "pelny ", "pelne ", "plna ", "plny ", "plne ", "preplnen", "pun ", "puna ", "megtelt", "betelt",
    "tele ", "tarhely", "dolu ", "doldu", "doldur", "penuh", "kuota", "dầy", "dung lượng", "hạn mức", "plenplena",
    // Russian, Ukrainian, Bulgarian, Greek
    "переполн", "квот", "полон", "заполнен", "нет места", "недостаточно места", "переповн", "препълн", "пълна", "γεματ", "πληρες",
    "πληρη",
    // Hebrew, Arabic, Persian, Chinese, Japanese, Korean, Thai
    "מלא", "מכסה", "ممتلئ", "الحصة", "پر است", "配额", "配額", "空间", "空間", "容量", "いっぱい",
    "満", "满", "滿", "一杯", "가득", "용량", "꽉", "เตม",
    // Spanish to Swedish: complete, saturated, brimful, no room
    "completo ", "esta complet", "satura", "sin sitio", "randvoll", "ruimte", "miejsc", "mista", "mist ", "misto ", "dost mista",
    "utrymme", "overfull", "overfyll", "dolmus", "yetersiz", "depolama", "zaplnen", "zaplnil", "tilaa", "taitun", "tais ", "perpild",
    "pilna ", "pilnas ", "polna ", "poln ", "fullur ", "fullt ", "пуно", "пълн", "空き", "공간", "부족", "不足",
    "plus de place", "yer kal", "yer yok", "plats kvar ", "ingen plats", "plads ", "plass ", "prostor", "여유", "잔여",
    "brim", "topped out", "maxed", "cram", "vacan", "ran out", "run out", "its cap ", "his cap ", "her cap ", "a cap ", "over cap ",
    "at cap ", "clean up", "cleaned", "cleared", "emptied", "saturat", "burst ", "bursting", "webspace", "packed", "store anything",
    "store more", "store any more", "zapchan", "zapeln", "wypeln", "desbord", "rebos", "abarrot", "colmad", "replet",
    "strapien", "stracolm", "colma ", "intasat", "engorg", "debord", "comble ", "quillt", "quellen", "verstopft", "propvol", "overvol",
    "stampvol", "propp", "sprangf", "slut pa ", "tupaten", "csordul", "zahlcen", "tika basa", "забит", "забита", "набит", "претъпк",
    "umplut", "ξεχειλ", "已爆", "爆了", "あふれ", "溢れ", "使い切", "넘쳤", "넘침", "넘친", "גדוש", "مكتظ", "امتل", "da dầy", "prepunjen", "napunjen",
    "popunjen", "napolnj", "uzpildyt", "parpildit", "meluap", "भर गय", "भरा",
    // One more message
    "mensaje mas ", "mas mensaj", "mas correo", "mais mensage", "altri messagg", "altro messagg", "weitere nachricht", "weiteren nachricht",
    "weitere mail", "meer bericht", "meer mail", "wiecej wiadom", "message de plus", "autre message", "больше пис", "больше сообщ",
    "exhausted", "take more", "more files", "beyond what", "has grown", "inode", "no le cabe", "niets meer", "кончил", "закончил",
    "入りきり", "放不下", "bis oben", "oben hin", "contenere altro", "contenir",
];

/// Units of size: of a mailbox it is full, of anything else the message is too large.
pub const UNITS: &[&str] = &[
    "byte", "megabyte", "gigabyte", "kb ", "mb ", "gb ", "tb ", "kib ", "mib ", "gib ", "tib ", "мб ", "гб ",
];

/// The message is too large.
#[rustfmt::skip]
pub const SIZE: &[&str] = &[
    "message size", "mail size", "mail exceeds", "message exceeds", "size of message", "size of mail", "size of the message", "size of your", "size limit",
    "maximum size", "max size", "maximum message", "maximum incoming", "size exceeds", "exceeds size", "fixed maximum", "too large",
    "too big", "oversize", "larger than", "bigger than", "message length",
    "tamano del mensaje", "demasiado grande", "tamanho da mensagem", "muito grande", "dimensioni del messaggio", "troppo grande",
    "taille du message", "trop grand", "trop gros", "trop volumineu", "trop long", "nachrichtengrose", "zu gros", "te groot",
    "for stor", "rozmiar", "za duza", "za duzy", "prilis velk", "tul nagy", "cok buyuk", "размер", "слишком больш", "слишком велик",
    "大小", "过大", "過大", "太大", "サイズ", "大きすぎ", "크기",
    "dimension", "dimensao", "maior que", "mas grande que", "piu grande", "plus grand", "taille ", "groter dan", "grosser als",
    "grosse der", "boyut", "boyutu", "zbyt duz", "prevelik", "storlek", "storrelse", "너무 크", "너무 큽", "너무 큰",
];

/// Too much in too short a time.
#[rustfmt::skip]
pub const RATE: &[&str] = &[
    "faster", "slower",
    "rapid", "quickly", "excessive", "volume", "burst", "back off", "backoff", "wait ", "slow ", "resources", "memory",
    "number of messages", "number of recipients", "number of connections",
    "rate ", "rates ", "ratelimit", "throttl", "too many", "too much", "too fast", "too quick", "too often", "too frequent",
    "frequenc", "per hour", "per minute", "per day", "per second", "hourly", "daily", "this hour", "slow down", "greylist",
    "graylist", "grey list", "gray list", "concurren", "simultaneous", "flood", "sending limit", "relay limit", "connection limit",
    "demasiad", "tasa ", "por hora", "demais ", "muitas ", "muitos ", "troppi ", "troppe ", "trop de ", "trop d ", "par heure",
    "zu viele", "zu schnell", "zu oft", "zu haufig", "pro stunde", "pro minute", "pro tag", "graue liste", "te veel", "te snel",
    "per uur", "for manga", "for mange", "zbyt wiel", "zbyt czest", "za duzo", "na godzin", "prilis mnoho", "tul sok", "prea mult",
    "cok fazla", "liian mon", "слишком много", "слишком част", "в час ", "сер список", "серый список", "забагато", "πολλα",
    "频率", "頻率", "频繁", "頻繁", "过多", "過多", "太多", "灰名单", "多すぎ", "너무 많",
    // Too fast, grey lists, waiting
    "vite ", "szybk", "быстр", "hizli", "snabb", "rychl", "velocemente", "schnell", "过快", "過快", "太快", "빨리", "빠르", "速すぎ", "短時間", "短时间",
    "大量", "짧은 시간", "short time", "short period", "short while", "poco tiempo", "corto tiempo", "pouco tempo", "poco tempo",
    "peu de temps", "kurzer zeit", "korte tijd", "kort tid", "krotkim czasie", "krotkim odstep", "kratke dobe", "kisa sure",
    "короткое время", "короткий срок", "lista gris", "lista grigi", "liste gris", "lista cinz", "szara list", "szarej li",
    "gri liste", "gralist", "グレイリスト", "グレーリスト", "灰色", "회색", "esper", "aguard", "attend", "patient", "warten", "wachten", "poczekaj",
    "odczekaj", "подожд", "зачекай", "bekley", "vanta ", "pockej", "astept", "περιμεν", "お待ち", "待って", "時間をおいて", "等待", "기다",
    "ressource", "recurso", "risors", "ресурс", "zasob",
    "excesso", "exceso", "eccesso",
    "hammer", "pace ", "cool off", "cool down", "at a time", "per connection", "more today", "tonight",
];

/// Whoever sends, by address, domain or host.
#[rustfmt::skip]
pub const SENDER: &[&str] = &[
    "sender", "originator", "return path", "reverse path", "mail from", "from address", "envelope from", "from domain", "sending domain",
    "sending host", "sending server", "sending ip", "sending mta", "from you ", "from your ", "client host", "client ip", "client address",
    "client was", "client blocked", "connecting", "helo ", "ehlo ", "from dynamic", "dynamic ip", "dial up", "residential", "su dominio", "su ip", "su servidor", "su host ", "su proveedor", "su red ", "su equipo",
    "expedit",
    "remitent", "remetent", "mittent", "absender", "afzender", "avsandar", "afsender", "avsender", "lahettaj", "nadawc", "odesilatel",
    "odosielatel", "felado", "posiljatelj", "gonderen", "gonderici", "pengirim", "người gửi", "sendinto", "il tuo ip", "вашем ip",
    "отправител", "відправник", "подател", "αποστολεα", "发件", "發件", "发送者", "发送方", "发信", "寄件", "送信者", "差出人", "送信元", "발신", "보낸 사람", "보내는",
    "שולח", "مرسل", "المرسل", "فرستنده", "ผูสง",
    // Where it comes from; your server, in each language
    "emetteur", "emettri", "emisor", "proveni", "provenan", "procedenc", "origen ", "origem ", "kuldo ", "siuntej", "sutitaj", "saatja",
    "sendandi", "пошиљал", "испраќач", "gonderi", "来源", "來源", "寄信", "ipアドレス", "ip地址", "sunucunuz", "お使いの", "貴社の", "貴サーバ", "bounces are",
    "bounces not", "accept bounces", "bounce messages",
    // From this place
    "tej sieci", "aginiz", "네트워크", "ネットワーク", "de este dominio", "de esta red", "da questo dominio", "da questa rete", "deste dominio",
    "desta rede", "de ce domaine", "von dieser", "von ihre", "van dit domein", "van dit adres", "van deze", "z tej domeny", "из вашей",
    "с вашего", "с этого домена", "z teto domeny", "z vasi", "fran denna", "fran er", "gelen posta", "gelen ileti", "gelen e posta",
    "에서 보낸", "からのメール", "来自该", "来自您", "来自此", "provider di", "saglayiciniz", "プロバイダ", "blocked you", "vous a bloqu", "ti ha blocc", "вас в ",
    "あなたを", "zablokowal cie", "know you", "you are not ", "of you ", "know who you", "knows you", "wish to receive", "wishes to receive",
    "want to receive", "wants to receive", "want your", "wants your", "not want mail", "ask for your", "asked for your", "you on ignore",
    "ignores you", "ignoring you", "approved you", "for you", "to you ", "no strangers", "strangers", "introduce", "from friends",
    "friends only", "envelope null", "empty envelope", "null envelope", "null return", "empty return", "empty path", "kennt sie",
    "kennt dich", "von ihnen", "ihre post", "ne vous conna", "vos messages", "vos courri", "vos mails", "no le conoce", "no lo conoce",
    "su correo", "sus correos", "sus mensajes", "non ti conosce", "non la conosce", "tua posta", "vostra posta", "suoi messaggi",
    "nao o conhece", "seu correio", "seus emails", "kent u niet", "uw mail", "uw bericht", "kanner inte dig", "er post", "din post",
    "jeres post", "kjenner deg", "cie nie zna", "pana nie zna", "panstwa poczt", "panstwa wiadom", "twojej poczt", "vas nezna",
    "vasi postu", "вас не зна", "вашей почт", "ваших пис", "вашу почт", "ваше письмо", "вашої пошт", "siz taniy", "sizden", "sizi tanim",
    "あなたからの", "您发", "你的邮", "您的邮", "您的郵", "귀하의 메", "受信を拒否", "you are on it", "muted", "you were blocked", "vous a mis", "sie ausgeschlossen",
    "sie gesperrt", "sie blockiert",
];

/// Blocklists, spam, authentication, content, rules.
#[rustfmt::skip]
pub const POLICY: &[&str] = &[
    "must not", "only takes", "only accept", "only receive", "only from", "solo acepta", "accetta solo", "nur von", "internal use", "internal only",
    "outside mail", "external mail", "external sender", "opted", "correspondents", "may not write", "may not send", "may not post", "cannot send", "can not send",
    "not send to", "not write to", "no puede", "non puo", "non puoi", "nao pode", "ne pouvez", "n est pas admis",
    "darf nicht", "durfen nicht", "mag niet", "nie moze", "nie mozesz", "nie wolno", "niedozwol", "нельзя", "не может", "не можете",
    "обратн", "зворотн", "link ", "links ", "region", "this range", "lacks a", "missing a", "headers",
    "standing", "untrust", "trusted", "approved", "nuisance", "source of", "acl ", "rule ", "rules ", "blackhole", "scor", "detected",
    "classified", "quarantine", "violat", "acceptable use", "guideline", "unsafe", "dangerous", "harmful", "abus", "attack",
    "dictionary", "harvest", "proxy", "botnet", "zombie", "hijack", "delist", "removal", "unblock", "appeal", "country",
    "identified as", "looks like", "considered", "eingestuft", "erkannt", "detectad", "rilevat", "detecte",
    "spam", "blacklist", "blocklist", "block list", "black list", "denylist", "deny list", "blocked", "blocking",
    "on a list", "on our list", "on the list", "dnsbl", "rbl ", "dns list",
    "reputation", "abuse", "abusive", "unsolicited", "scann", "bulk", "massen", "masiv", "massiv", "en masse", "masow", "массов", "toplu", "hromadn", "群发", "대량", "一括", "junk", "phish", "virus", "malware", "infected", "worm", "trojan",
    "dmarc", "dkim", "spf ", "domainkeys", "unauthenticated", "not authenticated", "authenticat", "auth required", "policy",
    "policies", "reverse", "rdns", "ptr ", "resource record", "hostname", "starttls", "tls ", "encrypt", "certificate",
    "not authorized", "not authorised", "unauthorized", "unauthorised", "not permitted", "not allowed", "permission", "prohibit",
    "forbidden", "banned", "restrict", "suspicious", "suspect", "security", "whitelist", "allowlist", "white list", "challenge",
    "confirmation", "captcha", "attachment", "content", "privacy", "compromis", "fraud", "spoof", "forged", "forgery",
    "impersonat", "complain", "moderat", "members only", "not a member", "members may", "only members", "non member", "only subscribers", "non subscriber",
    "accounts only", "users only", "look like", "filter", "link in", "url ", "unwanted", "backscatter",
    "lista negra", "lista nera", "liste noire", "schwarze liste", "schwarzen liste", "blockliste", "sperrliste", "zwarte lijst",
    "svartlist", "svarteliste", "czarna lista", "czarnej liscie", "cierna listina", "kara liste", "daftar hitam", "lista neagra",
    "tiltolist", "musta lista", "politica", "politique", "polityk", "richtlinie", "beleid", "no deseado", "indesira", "pouriel",
    "unerwunscht", "ungewenst", "skrappost", "niechcian", "nevyzadan", "istenmeyen", "roskaposti", "bloquead", "bloque ", "bloquee ",
    "bloccat", "gesperrt", "blockiert", "geblokkeerd", "zablokowan", "zablokovan", "engellen", "prohibid", "proibid", "vietat",
    "interdit", "verboten", "verboden", "zabronion", "zakazan", "no autorizad", "nao autorizad", "non autoriz", "nicht autorisiert",
    "nicht berechtigt", "contenid", "conteud", "contenut", "contenu ", "inhalt", "inhoud", "adjunt", "anexo", "allegat", "anhang",
    "bijlage", "zalacznik", "autentica", "authentifi", "seguridad", "seguranca", "sicurezza", "securite", "sicherheit",
    "спам", "вирус", "черн", "чорн", "политик", "запрещ", "заборон", "заблокир", "заблоков", "нежелат", "репутац", "содержим",
    "вложени", "безопасн", "ανεπιθυμητ", "πολιτικη",
    "垃圾", "黑名单", "黑名單", "策略", "病毒", "屏蔽", "违规", "違規", "内容", "附件", "信誉", "反向解析", "迷惑", "スパム",
    "ウイルス", "ポリシー", "ブラックリスト", "添付", "逆引き", "認証", "스팸", "차단", "정책", "바이러스", "블랙리스트", "ספאם",
    "חסום", "محظور", "سياسة", "สแปม",
    // Advertisements, rules, security, logging in, reverse DNS, form
    "antispam", "antivir", "advert", "commercial", "marketing", "promotional", "indesiderat", "indesejad", "no solicitad",
    "nao solicitad", "non sollicit", "non richiest", "ongewenst", "oonskad", "uonsket", "nezadouc", "niepozadan", "publicid",
    "publicit", "pubblicit", "propagand", "reklam", "reclame", "werbung", "werbe", "広告", "广告", "廣告", "광고", "реклам", "рассылк",
    "розсилк", "schadsoftware", "schadlich", "malici", "beveilig", "bezpiecz", "bezpecn", "guvenlik", "sakerhet", "sikkerhed",
    "sikkerhet", "tietoturva", "biztonsag", "セキュリティ", "安全", "보안", "reglas", "regole", "regras", "regles", "normas", "regeln ",
    "regels ", "regler ", "zasad", "pravidel", "pravidl", "kural", "szabaly", "правила ", "правилам", "правилами", "правил ", "ルール",
    "规则", "規則", "规定", "規定", "규칙", "규정", "verstos", "nutzungs", "infrac", "violac", "violaz", "naruszen", "наруш", "поруш",
    "bryter mot", "porusen", "ihlal", "aykiri", "違反", "违反", "위반", "overtred", "vous identifier", "identificarse", "anmeldung",
    "anmelden", "einlogg", "aanmeld", "inlogg", "logga in", "logg inn", "log in ", "must log ", "pop before", "prihlas", "zaloguj",
    "logowan", "авториз", "автентиф", "аутентиф", "uwierzyteln", "autentik", "autentiz", "kimlik dogrula", "oturum ac", "身份验证",
    "身份驗證", "身份认证", "인증", "로그인", "ログイン", "inverso", "inversa", "inverse ", "invers ", "reverz", "revers", "omvand", "omvendt",
    "ters dns", "odwrotn", "反向", "역방향", "역조회", "blokowan", "blokovan", "blokir", "blokad", "bloqueo", "blocage", "blocco", "blockad",
    "блокиров", "блокуван", "sparrlist", "sparrad", "ブロック", "拉黑", "封禁", "line length", "id missing", "date header", "missing header", "bad header", "invalid header",
    "line too long", "lines too long", "bare lf", "bare newline", "8bit", "smtputf8",
    // Acquaintances only, kinds of files, forgeries, what is not permitted
    "ses contacts", "sus contactos", "suoi contatti", "contatti noti", "contatos conhec", "seus contatos", "bekenden", "znajom", "знаком", "знайом", "znamych", "kanda", "のみ", "仅",
    "只接", "만 받", "만 허용", "dateityp", "eseguib", "ejecutab", "executab", "executav", "bilag", "ek dosya", "첨부",
    "priloh", "falsif", "gefalscht", "contraffatt", "usurp",
    "podrob", "подделк", "поддел", "підроб", "sahte", "なりすまし", "偽", "伪造", "偽造", "위조", "podvrz", "vervals", "forfalsk", "erwunscht",
    "gewenst", "gradit", "onskad", "uonskt", "souhait", "nicht erlaubt", "nicht gestattet", "zulassig", "unzulassig", "permitid",
    "ammess", "consentit", "autoris", "autoriz", "toegestaan", "не допуска", "не разреш", "разрешен", "izin veril", "yasak", "許可され",
    "不允许", "不允許", "허용되지", "tillat", "tillad", "povolen", "forbjud", "forbudt",
    // Links, what is suspicious, signatures
    "sospech",
    "sospett", "suspeit", "verdacht", "podejrz", "подозр", "підозр", "suphe", "不審", "可疑", "의심", "misstank", "mistenk", "podezr",
    "epailytta", "pericol", "peligro", "dangereu", "gefahrlich", "gevaarlijk", "niebezpiecz", "опасн", "tehlike", "危険", "危险", "위험",
    "farlig", "nebezpec", "firma digital", "signature", "signatur", "podpis", "подпис", "imza", "署名", "签名", "서명", "affidabil",
    "fiable", "vertrauens",
    // Encryption
    "verschlussel", "chiffr", "cifrad", "cifrat", "crittograf", "szyfr", "зашифр", "versleutel", "krypter", "sifrovan", "暗号", "加密",
    "암호화", "newsletter", "want bounces", "no bounces",
    // What the sender may not do
    "berechtig", "befugnis", "permiso", "permissao", "permesso", "toegang", "toestemming", "tillstand", "tilladelse", "tillatelse", "uprawn",
    "opravnen", "yetki", "jogosult", "права ", "прав ", "権限", "权限", "權限", "권한",
    "extern", "outside", "exterior", "exterieur", "abroad", "внешн", "зовнішн", "社外", "外部", "외부", "zewnetrzn", "nur intern",
    "desider", "desej", "no dese", "жела", "望ん", "不愿", "不願", "zycz", "istemiy", "not welcome", "unwelcome", "go away", "karma", "mailings", "not subscribed", "colleagues", "replies only", "automated",
    "automatic mail", "password", "fqdn", "valid date", "personal list", "personal block", "autonomous", "asn ", "cloud", "hosting",
    "datacenter", "data center", "data centre", "vps ", "consumer line", "ipv4", "ipv6", "delivery reports", "dsn ", "dsns ",
    "plaintext", "cleartext", "plain text", "secure channel", "insecure", "cipher", "geo ", "geograph", "foreign", "offensive", "obscen",
    "profan", "registered domain", "new domain", "young", "domain age", "pgp ", "gpg ", "s mime", "signed", "staff use", "staff only",
    "for staff", "in house", "inhouse", "sends only", "send only", "send mail only", "outgoing only", "outbound only", "dynamic",
    "no service for", "hostile", "naughty", "disreput", "low trust", "vote",
    "token", "shielded", "campus", "from whom", "html", "solo admite", "correo interno", "da colleghi", "interne post", "interne mail",
    "interne nachricht", "uzytku wewn", "poczty wewn", "poczta wewn", "внутренней почт", "внутренних", "внутрішн", "ic posta", "ic ileti", "社内", "内部邮", "內部郵", "사내",
    "interne e mail", "uso interno", "usage interne", "internen gebrauch", "intern bruk", "intern brug", "internt bruk", "belso hasznal",
    "interni pouz", "vnitrni post", "vnitrniho pouz",
    // Fraud, other ways in, people who may post, lines that change their address
    "truff", "estafa ", "betrug", "oszust", "мошенн", "шахрай", "измам", "詐欺", "诈骗", "詐騙", "사기 ", "사기성", "bedrageri", "bedrog ", "svindel", "huijaus", "podvod",
    "csalas", "dolandir", "escroqu", "arnaque", "inselator", "prevara ", "prevare ", "prijevar", "απατη", "הונאה", "احتيال", "scam ", "scams ", "scammer", "can post ",
    "may post ", "to post ", "outsider", "closed to ", "динамич", "динаміч", "firmad", "firmato", "firmata",
];

/// Some limit that is not named.
#[rustfmt::skip]
pub const LIMIT: &[&str] = &[
    "limit", "more than ", "too ", "over its", "maximum", "max ", "threshold", "limiet", "grens", "grenze", "предел", "лимит", "ліміт", "上限",
    "限制", "制限", "제한",
    "exceed", "over limit", "over the limit", "limit reached", "limit has been", "limit was", "excedid", "exced", "supera", "esced",
    "depass", "uberschritten", "uberschreit", "overschreden", "overskred", "overskrid", "przekrocz", "prekroc", "tullep", "depasit",
    "asild", "ylit", "превыш", "перевищ", "υπερβ", "超过", "超過", "超出", "超え", "초과", "تجاوز",
    "한도", "sinir", "grans ", "nadd ", "vycerpan", "исчерп", "вичерп", "esaurit", "esgotad", "agotad", "epuis", "wyczerp", "用完", "已达",
    "達し", "전부 사용", "insuffi",
];

/// What may pass.
#[rustfmt::skip]
pub const LATER: &[&str] = &[
    "verification problem", "verification error", "being moved", "being migrated", "local problem", "later", "temporar", "temporair", "temporan", "busy", "come back", "again in", "at this time", "maintenance", "overload",
    "deferr", "seconds ", "mins ", "min ", "moment",
    "mas tarde", "mais tarde", "piu tardi", "plus tard", "spater", "vorubergehend", "zeitweise", "tijdelijk", "senare", "senere",
    "tilfalligt", "midlertidig", "pozniej", "tymczasow", "pozdeji", "docasn", "kesobb", "atmeneti", "mai tarziu", "daha sonra",
    "gecici", "myohemmin", "tilapais", "позже", "позднее", "временно", "тимчасов", "пізніше", "προσωριν", "αργοτερα",
    "稍后", "稍後", "暂时", "暫時", "临时", "後で", "のちほど", "一時", "나중에", "일시", "מאוחר", "لاحق", "مؤقت",
    // Overload, maintenance, faults inside, minutes, once more
    "minut", "dakika", "хвилин", "分後", "分钟", "分鐘", "분 후", "overbelast", "sobrecarg", "sovraccaric", "surcharg", "uberlast",
    "ausgelast", "uberbelast", "przeciaz", "pretiz", "перегруж", "перегрузк", "перевантаж", "mesgul", "混み合", "混雑", "繁忙", "忙碌", "혼잡",
    "tulterhel", "suprasolic", "ocupad", "occupat", "occupe", "besetzt", "belegt", "upptag", "optaget", "opptatt", "varattu", "zajet",
    "zaneprazdn", "mantenim", "manutenz", "manutenc", "wartung", "onderhoud", "underhall", "vedligehold", "vedlikehold", "huolto",
    "konserwac", "przerwa tech", "techniczn", "техническ", "технічн", "обслуживан", "обслугов", "udrzb", "bakim", "メンテ", "维护", "維護",
    "점검", "karbantart", "intretiner", "συντηρησ", "error intern", "errore intern", "erreur intern", "erro intern", "interner fehl",
    "interne fout", "internt fel", "intern fejl", "intern feil", "sisainen virhe", "blad wewn", "bledu wewn", "внутренн", "внутрішн",
    "vnitrni chyb", "belso hiba", "eroare intern", "sistem hata", "dahili hata", "systemfehl", "systemfel", "systemfejl",
    "error del sistema", "errore di sistema", "erreur systeme", "erro do sistema", "erro de sistema", "システムエラー", "内部エラー", "内部错误",
    "內部錯誤", "系统错误", "系統錯誤", "내부 오류", "시스템 오류", "障害", "故障", "장애", "database", "backend", "back end", "is down ", "mysql", "sql ",
    "lookup fail", "lookup error", "i o error", "input output", "disk error", "disk fail", "write error", "not write ",
    "unable to write", "not open ", "unable to open", "not create ", "read only file", "another process", "lock file", "not lock ",
    "get lock", "unable to lock", "malfunction", "outage", "technical problem", "technical difficult", "technical reason",
    "server problem", "system problem", "reintent", "vuelva a", "intente", "intentar", "intentelo", "nuevamente", "riprov", "ritent",
    "reessa", "ressay", "erneut", "noch einmal", "nochmal", "opnieuw", "nogmaals", "ponown", "sprobuj", "tente ", "tentar",
    "novamente", "повтор", "попробуйте", "снова", "спробуйте", "ще раз", "tekrar", "再送", "再試行", "再度", "もう一度", "しばらく", "稍候", "稍等",
    "重试", "重試", "再试", "다시", "재시도", "재전송", "잠시", "forsok igen", "prov igen", "zkuste", "znovu", "skuste", "yrita", "probeer",
    "incearca", "ujra", "uuesti", "veliau", "velak", "kasnije", "kasneje", "pozneje", "по късно", "касније", "подоцна", "seinna",
    // Out of service, until tomorrow
    "fuera de servicio", "fuori servizio", "hors service", "fora do ar", "fora de servico", "ausser betrieb", "auser betrieb",
    "buiten dienst", "nieczynn", "не работает", "ведутся", "hizmet disi", "verilemi", "暂不", "暫不", "heures", "stunden", "uren ",
    "godzin", "horas", "часов", "timmar", "hodin", "小时", "demain", "domani", "morgen", "manana", "jutro", "amanha", "завтра", "yarin",
    "imorgon", "zitra", "明日", "明天", "내일", "hoy ", "oggi ", "aujourd", "heute", "vandaag", "dzis", "сегодня", "bugun", "dnes", "本日",
    "今日", "오늘", "datenbank", "databas", "databaze", "base de datos", "base de donnees", "banco de dados", "baza danych",
    "bazy danych", "базы данн", "база данн", "veri taban", "データベース", "数据库", "데이터베이스", "pflege", "chwilow", "su anda", "just nu",
    "for tillfallet", "後ほど",
    // Load
    "an hour", "hours ",
    "congest", "hoher last", "hohe last", "belast", "нагрузк", "навантажен", "asiri yuk", "yuksek yuk", "zatez", "zatiz", "obciaz",
    "haute charge", "forte charge", "carico", "負荷", "负载", "负荷", "부하", "集中して", "gestoord", "storing", "storung",
    "migra", "in progress", "right now", "at present", "offline", "backup runs", "read only", "not reachable", "cluster ",
    "umgezogen", "umzug", "verhuis", "przenosz", "перенос", "移行", "迁移", "遷移", "이전 중", "flyttas", "stehov", "tasini",
    "retry ", "asleep", "to sleep", "sleeping", "restor", "repair", "in use by", "locked by", "another session", "check failed",
    "checked now", "out of order", "append", "crash", "reboot", "restart", "daemon down", "backend down", "not mounted", "unmounted",
    "file system", "filesystem",
    // Faults, of machines and of the places where they stand
    "averi", "avaria", "avarie", "awari", "авари", "аварі", "panne", "pane ", "ariza", "vypad", "avbrott", "avbrud", "stromausfall", "serverausfall",
    "ausfall", "uitval", "guasto", "guasti", "dysfonction", "rechenzentr", "centro de dados", "centro de datos", "centro dati",
    "centre de donnees", "serwerown", "дата центр", "datovem cent", "datahall", "veri merkez", "データセンタ", "机房", "systempfleg",
    "swamp", "another day", "another time", "another moment", "until ", "unpaid", "invoice", "hasta que", "bis zum", "bis zur", "jusqu a", "fino al", "repeat the", "repeat it", "repeat your",
    "recover", "unreachable", "synced", "syncing", "replicat", "mails waiting", "before the",
];
