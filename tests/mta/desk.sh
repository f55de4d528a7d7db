#!/bin/sh
# A responder, for a `.forward`: desk KIND PUBLIC ADDRESS. It keeps what it reads below /home, and answers it.
#
# KIND says whom and how; PUBLIC is the address that the message came to before it was forwarded, ADDRESS is the desk's own.
kind=$1 public=$2 me=$3
cd "/home/${me%@*}" || exit 75
umask 022

# A place for each message; a story that would never end is over here.
n=1
until mkdir "seen.$n" 2>/dev/null; do
    n=$((n + 1))
    [ "$n" -gt 40 ] && exit 0
done
cat >"seen.$n/message"

field() {
    sed -n "1,/^\$/{/^$1: */I{s///;p;q}}" "seen.$n/message"
}
bare() {
    printf '%s\n' "$1" | sed 's/.*<\(.*\)>.*/\1/'
}
# A word that nobody else uses.
word() {
    printf '%s' "$me $n $1" | md5sum | tr -dc a-f0-9 | tr 0-9 g-p | cut -c 1-9
}

# sendmail(8) names the sender in the From_ line alone.
case ${SENDER-unset} in
unset) sender=$(sed -n '1s/^From \([^ ]*\) .*/\1/p' "seen.$n/message") ;;
*) sender=$SENDER ;;
esac
[ "$sender" = MAILER-DAEMON ] && sender=

subject=$(field Subject)
from=$(bare "$(field From)")
words="$(word a) $(word b) $(word c)"
text="$(word d) $(word e) $(word f) $(word g)"
to=$sender author="x$n@b.test" envelope= more=
case $kind in
# Acknowledges to From, marked as RFC 3834 has it.
from)
    to=$from author=$me words="Re: $subject" text="Your request has number $n."
    more="Auto-Submitted: auto-replied
In-Reply-To: $(field Message-ID)" ;;
# Acknowledges to the envelope sender, marked.
sender)
    author=$me words="Re: $subject" text="Your request has number $n."
    more="Auto-Submitted: auto-replied
In-Reply-To: $(field Message-ID)" ;;
# The same without any mark.
bare) author=$me words="Ticket $n: $subject" text="Your request has number $n." ;;
# Nothing that it writes is like anything else: another author, subject, text each time.
anon) ;;
# The same with another domain each time.
far) author="x@d$n.test" ;;
# Answers the null sender, with the null sender.
null) [ -n "$to" ] || to=$public; envelope='<>' ;;
# Says that it is a list.
listed) more="List-Id: <l.b.test>
Precedence: list" ;;
# Answers each message twice.
twice) ;;
# Mails the text on as a message of its own.
gate)
    to=$public author=$from words=$subject
    text=$(sed '1,/^$/d' "seen.$n/message") ;;
# Answers whoever wrote, as if it were the address that everybody knows.
public) to=$from author=$public ;;
esac
[ -n "$to" ] && [ "$to" != '<>' ] || exit 0
[ -n "$envelope" ] || envelope=$author

copies=1
[ "$kind" = twice ] && copies=2
while [ "$copies" -gt 0 ]; do
    {
        printf 'From: Desk <%s>\nTo: %s\nSubject: %s\nMessage-ID: <%s.%s@b.test>\n' \
            "$author" "$to" "$words" "$(word "$copies")" "$n"
        [ -z "$more" ] || printf '%s\n' "$more"
        printf '\n%s %s\n' "$text" "$copies"
    } | /usr/sbin/sendmail -oi -f "$envelope" -- "$to"
    copies=$((copies - 1))
done
