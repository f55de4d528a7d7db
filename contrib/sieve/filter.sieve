# Writes the verdict into a header, and sorts by it. When the filter fails, the message is kept as it came.
require ["fileinto", "mailbox", "vnd.dovecot.filter"];

filter "spoolguard" ["filter"];
if header :matches "X-Spoolguard-Verdict" ["bounce*", "loop*"] {
    fileinto :create "bounces";
}
