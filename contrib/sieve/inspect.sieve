# Sorts by the verdict without changing the message. Exit status 0 is yes; 1, and a failure, is no: the message is kept.
require ["fileinto", "mailbox", "vnd.dovecot.execute"];

if execute :pipe "spoolguard" ["inspect", "--is", "bounce,loop"] {
    fileinto :create "bounces";
}
