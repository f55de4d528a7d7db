//! The words of what passes or is about the message, in the languages that MTAs and their administrators write: an address that lives answers
//! like this. `topics` says how words are written, and in which order topics count.

/// The mailbox or the disk is full.
#[rustfmt::skip]
pub const FULL: &[&str] = &[
    "percent", "usage", "ceiling", "free bytes", "has reached", "have reached", "been reached", "reached its", "alcanzad", "alcanco", "atingi", "atteint", "erreicht", "erschopft",
    "raggiunt", "bereikt", "osiagn", "dosegl", "natt ", "elerte", "ulasti", "достиг", "законч", "места", "місця", "tamano",
    "maximo ", "maxima ", "massim",
    "capacity", "capacid", "capacit", "kapazit", "kapasit", "overflow", "cannot hold", "can not hold", "not hold more", "no more mail",
    "any more mail", "more messages", "allotment", "allowance", "allocat", "megabyte", "gigabyte", "mb ", "gb ", "stuffed",
    "overdrawn",
    "quota", "overquota", "full ", "storage", "disk space", "disc space", "space left", "out of space", "no space", "no room", "space not enough",
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
    "מלא", "מכסה", "ممتلئ", "الحصة", "پر است", "已满", "已滿", "满了", "爆满", "配额", "配額", "空间", "空間", "容量", "いっぱい",
    "満杯", "一杯", "가득", "용량", "꽉", "เต็ม",
];

/// The message is too large.
#[rustfmt::skip]
pub const SIZE: &[&str] = &[
    "message size", "mail size", "size of message", "size of mail", "size of the message", "size of your", "size limit",
    "maximum size", "max size", "maximum message", "maximum incoming", "size exceeds", "exceeds size", "fixed maximum", "too large",
    "too big", "oversize", "larger than", "bigger than", "message length",
    "tamano del mensaje", "demasiado grande", "tamanho da mensagem", "muito grande", "dimensioni del messaggio", "troppo grande",
    "taille du message", "trop grand", "trop gros", "trop volumineu", "trop long", "nachrichtengrose", "zu gros", "te groot",
    "for stor", "rozmiar", "za duza", "za duzy", "prilis velk", "tul nagy", "cok buyuk", "размер", "слишком больш", "слишком велик",
    "大小", "过大", "過大", "太大", "サイズ", "大きすぎ", "크기",
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
];

/// Whoever sends, by address, domain or host.
#[rustfmt::skip]
pub const SENDER: &[&str] = &[
    "sender", "originator", "return path", "reverse path", "mail from", "from address", "envelope from", "from domain",
    "sending domain", "sending host", "sending server", "sending ip", "sending mta", "your domain", "your ip", "your host",
    "your server", "your mail server", "your network", "your isp", "your provider", "from you ", "from your ", "client host",
    "client ip", "client address", "client was", "client blocked", "connecting", "helo ", "ehlo ", "from dynamic", "dynamic ip",
    "dial up", "residential",
    "expedit", "remitent", "remetent", "mittent", "absender", "afzender", "avsandar", "afsender", "avsender", "lahettaj",
    "nadawc", "odesilatel", "odosielatel", "felado", "posiljatelj", "gonderen", "gonderici", "pengirim", "người gửi", "sendinto",
    "su ip", "tu ip", "seu ip", "sua ip", "il tuo ip", "vostro ip", "votre ip", "votre serveur", "ihre ip", "ihr server",
    "ihrem server", "su servidor", "seu servidor", "uw ip", "din ip", "twoj adres ip", "ваш ip", "вашего ip", "вашем ip",
    "отправител", "відправник", "подател", "αποστολεα",
    "发件", "發件", "发送者", "发送方", "发信", "寄件", "您的ip", "你的ip", "送信者", "差出人", "送信元", "발신", "보낸 사람",
    "보내는", "שולח", "مرسل", "المرسل", "فرستنده", "ผู้ส่ง",
];

/// Blocklists, spam, authentication, content, rules.
#[rustfmt::skip]
pub const POLICY: &[&str] = &[
    "must not", "only takes", "only accept", "only receive", "only from", "solo acepta", "accetta solo", "nur von", "internal use", "internal only",
    "outside mail", "external mail", "external sender", "opted", "correspondents", "may not write", "may not send", "may not post", "cannot send", "can not send",
    "not send to", "not write to", "no puede", "non puo", "non puoi", "nao pode", "ne pouvez", "n est pas admis",
    "darf nicht", "durfen nicht", "mag niet", "nie moze", "nie mozesz", "nie wolno", "niedozwol", "нельзя", "не может", "не можете",
    "обратн", "зворотн", "link ", "links ", "region", "this range", "lacks a", "missing a", "headers",
    "standing", "untrust", "trusted", "nuisance", "source of", "acl ", "rule ", "rules ", "blackhole", "scor", "detected",
    "classified", "quarantine", "violat", "acceptable use", "guideline", "unsafe", "dangerous", "harmful", "abus", "attack",
    "dictionary", "harvest", "proxy", "botnet", "zombie", "hijack", "delist", "removal", "unblock", "appeal", "country",
    "marked as", "identified as", "looks like", "considered", "eingestuft", "erkannt", "detectad", "rilevat", "detecte",
    "spam", "blacklist", "blocklist", "block list", "black list", "denylist", "deny list", "blocked", "blocking",
    "on a list", "on our list", "on the list", "dnsbl", "rbl ", "dns list",
    "reputation", "abuse", "abusive", "unsolicited", "bulk", "junk", "phish", "virus", "malware", "infected", "worm", "trojan",
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
];

/// Some limit that is not named.
#[rustfmt::skip]
pub const LIMIT: &[&str] = &[
    "limit", "too ", "over its", "maximum", "max ", "threshold", "limiet", "grens", "grenze", "предел", "лимит", "ліміт", "上限",
    "限制", "制限", "제한",
    "exceed", "over limit", "over the limit", "limit reached", "limit has been", "limit was", "excedid", "exced", "supera", "esced",
    "depass", "uberschritten", "uberschreit", "overschreden", "overskred", "overskrid", "przekrocz", "prekroc", "tullep", "depasit",
    "asild", "ylit", "превыш", "перевищ", "υπερβ", "超过", "超過", "超出", "超え", "초과", "تجاوز",
];

/// What may pass.
#[rustfmt::skip]
pub const LATER: &[&str] = &[
    "verification problem", "verification error", "being moved", "being migrated", "local problem", "later", "temporar", "temporair", "temporan", "busy", "come back", "again in", "at this time", "maintenance", "overload",
    "deferred", "momentarily",
    "mas tarde", "mais tarde", "piu tardi", "plus tard", "spater", "vorubergehend", "zeitweise", "tijdelijk", "senare", "senere",
    "tilfalligt", "midlertidig", "pozniej", "tymczasow", "pozdeji", "docasn", "kesobb", "atmeneti", "mai tarziu", "daha sonra",
    "gecici", "myohemmin", "tilapais", "позже", "позднее", "временно", "тимчасов", "пізніше", "προσωριν", "αργοτερα",
    "稍后", "稍後", "暂时", "暫時", "临时", "後で", "のちほど", "一時", "나중에", "일시", "מאוחר", "لاحق", "مؤقت",
];
