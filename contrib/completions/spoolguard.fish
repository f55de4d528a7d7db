# Runs a command, with those of the first argument's options that were typed.
function __spoolguard_run
    set -l words (commandline -opc)
    set -l flags (string split '|' -- $argv[1])
    set -l typed
    for at in (seq 2 (count $words))
        if contains -- $words[$at] $flags
            set -a typed $words[$at] $words[(math $at + 1)]
        end
    end
    spoolguard $argv[2..-1] $typed
end
function __spoolguard_destinations
    __spoolguard_run '--config|--user|-d|--as' status --json 2>/dev/null | sed -n 's/^{"kind":"destination","user":"[^"\\]*","destination":"\([^"\\]*\)".*/\1/p'
end
function __spoolguard_archives
    __spoolguard_run --config spool archives --json 2>/dev/null | sed -n 's/.*"path":"\([^"\\]*\)".*/\1/p'
end

# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_spoolguard_global_optspecs
    string join \n config= n/dry-run v/verbose h/help V/version
end

function __fish_spoolguard_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_spoolguard_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_spoolguard_using_subcommand
    set -l cmd (__fish_spoolguard_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c spoolguard -n "__fish_spoolguard_needs_command" -l config -d 'Read this configuration file, and no other' -r -F
complete -c spoolguard -n "__fish_spoolguard_needs_command" -s n -l dry-run -d 'Show what would be done, and do nothing; a delivery exits with 75'
complete -c spoolguard -n "__fish_spoolguard_needs_command" -s v -l verbose -d 'Log to standard error where there is no syslog; twice for more'
complete -c spoolguard -n "__fish_spoolguard_needs_command" -s h -l help -d 'Print help'
complete -c spoolguard -n "__fish_spoolguard_needs_command" -s V -l version -d 'Print version'
complete -c spoolguard -n "__fish_spoolguard_needs_command" -f -a "deliver" -d 'Judge the message on standard input, then append it to the mailbox'
complete -c spoolguard -n "__fish_spoolguard_needs_command" -f -a "forward" -d 'Judge the message on standard input, then forward it'
complete -c spoolguard -n "__fish_spoolguard_needs_command" -f -a "filter" -d 'Copy standard input to standard output with the verdict in a header, X-Spoolguard-Verdict'
complete -c spoolguard -n "__fish_spoolguard_needs_command" -f -a "return" -d 'Return a bounce that came to an SRS address to whoever wrote the message'
complete -c spoolguard -n "__fish_spoolguard_needs_command" -f -a "sendmail" -d 'Stand in for sendmail: a Sieve redirect becomes a guarded forward, everything else goes to the real one'
complete -c spoolguard -n "__fish_spoolguard_needs_command" -f -a "policy" -d 'Answer whether mailboxes have room, while the client that sends is still there'
complete -c spoolguard -n "__fish_spoolguard_needs_command" -f -a "inspect" -d 'Show what each message is, by which markers, and what would be done with it'
complete -c spoolguard -n "__fish_spoolguard_needs_command" -f -a "replay" -d 'Run every message of a stored mailbox through the guard'
complete -c spoolguard -n "__fish_spoolguard_needs_command" -f -a "status" -d 'Show which forwards fail or are suspended; suspend one, or resume it'
complete -c spoolguard -n "__fish_spoolguard_needs_command" -f -a "trace" -d 'Show what became of a message, or of the mail of an address, from the log and from the state'
complete -c spoolguard -n "__fish_spoolguard_needs_command" -f -a "spool" -d 'Maintain mailboxes that have grown: list, archive, sweep, restore'
complete -c spoolguard -n "__fish_spoolguard_needs_command" -f -a "doctor" -d 'Check this host\'s mail setup'
complete -c spoolguard -n "__fish_spoolguard_needs_command" -f -a "config" -d 'Check or show the configuration'
complete -c spoolguard -n "__fish_spoolguard_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand deliver" -s d -l user -d 'The user whose mailbox it is [default: who runs this]' -r -f -a "(__fish_complete_users)"
complete -c spoolguard -n "__fish_spoolguard_using_subcommand deliver" -s a -l recipient -d 'The address it was sent to [default: RECIPIENT, LOCAL@DOMAIN, Delivered-To, or user@host]' -r -f
complete -c spoolguard -n "__fish_spoolguard_using_subcommand deliver" -s f -l sender -d 'The envelope sender; \'\' or \'<>\' is the null sender [default: SENDER, Return-Path, or the From_ line]' -r -f
complete -c spoolguard -n "__fish_spoolguard_using_subcommand deliver" -s m -l mailbox -d 'The mailbox: the path of an mbox, or of a Maildir with a slash at its end [default: [mailbox] location]' -r -F
complete -c spoolguard -n "__fish_spoolguard_using_subcommand deliver" -l config -d 'Read this configuration file, and no other' -r -F
complete -c spoolguard -n "__fish_spoolguard_using_subcommand deliver" -s n -l dry-run -d 'Show what would be done, and do nothing; a delivery exits with 75'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand deliver" -s v -l verbose -d 'Log to standard error where there is no syslog; twice for more'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand deliver" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand forward" -l as -d 'The alias that it is for: its mailbox and its state are in [aliases] dir' -r
complete -c spoolguard -n "__fish_spoolguard_using_subcommand forward" -s d -l user -d 'The user whose mailbox it is [default: who runs this]' -r -f -a "(__fish_complete_users)"
complete -c spoolguard -n "__fish_spoolguard_using_subcommand forward" -s a -l recipient -d 'The address it was sent to [default: RECIPIENT, LOCAL@DOMAIN, Delivered-To, or user@host]' -r -f
complete -c spoolguard -n "__fish_spoolguard_using_subcommand forward" -s f -l sender -d 'The envelope sender; \'\' or \'<>\' is the null sender [default: SENDER, Return-Path, or the From_ line]' -r -f
complete -c spoolguard -n "__fish_spoolguard_using_subcommand forward" -s m -l mailbox -d 'The mailbox: the path of an mbox, or of a Maildir with a slash at its end [default: [mailbox] location]' -r -F
complete -c spoolguard -n "__fish_spoolguard_using_subcommand forward" -l config -d 'Read this configuration file, and no other' -r -F
complete -c spoolguard -n "__fish_spoolguard_using_subcommand forward" -l keep -d 'Deliver a copy into the mailbox, too'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand forward" -s n -l dry-run -d 'Show what would be done, and do nothing; a delivery exits with 75'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand forward" -s v -l verbose -d 'Log to standard error where there is no syslog; twice for more'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand forward" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand filter" -s d -l user -d 'The user whose mailbox it is [default: who runs this]' -r -f -a "(__fish_complete_users)"
complete -c spoolguard -n "__fish_spoolguard_using_subcommand filter" -s a -l recipient -d 'The address it was sent to [default: RECIPIENT, LOCAL@DOMAIN, Delivered-To, or user@host]' -r -f
complete -c spoolguard -n "__fish_spoolguard_using_subcommand filter" -s f -l sender -d 'The envelope sender; \'\' or \'<>\' is the null sender [default: SENDER, Return-Path, or the From_ line]' -r -f
complete -c spoolguard -n "__fish_spoolguard_using_subcommand filter" -l config -d 'Read this configuration file, and no other' -r -F
complete -c spoolguard -n "__fish_spoolguard_using_subcommand filter" -s v -l verbose -d 'Log to standard error where there is no syslog; twice for more'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand filter" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand return" -s d -l user -d 'The user whose mailbox it is [default: who runs this]' -r -f -a "(__fish_complete_users)"
complete -c spoolguard -n "__fish_spoolguard_using_subcommand return" -s a -l recipient -d 'The address it was sent to [default: RECIPIENT, LOCAL@DOMAIN, Delivered-To, or user@host]' -r -f
complete -c spoolguard -n "__fish_spoolguard_using_subcommand return" -s f -l sender -d 'The envelope sender; \'\' or \'<>\' is the null sender [default: SENDER, Return-Path, or the From_ line]' -r -f
complete -c spoolguard -n "__fish_spoolguard_using_subcommand return" -l config -d 'Read this configuration file, and no other' -r -F
complete -c spoolguard -n "__fish_spoolguard_using_subcommand return" -s n -l dry-run -d 'Show what would be done, and do nothing; a delivery exits with 75'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand return" -s v -l verbose -d 'Log to standard error where there is no syslog; twice for more'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand return" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand sendmail" -l config -d 'Read this configuration file, and no other' -r -F
complete -c spoolguard -n "__fish_spoolguard_using_subcommand sendmail" -s n -l dry-run -d 'Show what would be done, and do nothing; a delivery exits with 75'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand sendmail" -s v -l verbose -d 'Log to standard error where there is no syslog; twice for more'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand sendmail" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand policy" -l size -d 'How large the message is, in bytes; -1 is unknown' -r
complete -c spoolguard -n "__fish_spoolguard_using_subcommand policy" -l config -d 'Read this configuration file, and no other' -r -F
complete -c spoolguard -n "__fish_spoolguard_using_subcommand policy" -l opensmtpd -d 'Speak the filter protocol of OpenSMTPD'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand policy" -l json -d 'Print one JSON object a line'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand policy" -s v -l verbose -d 'Log to standard error where there is no syslog; twice for more'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand policy" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand inspect" -l is -d 'Ask whether every message is one of these' -r -f -a "loop\t''
bounce\t''
complaint\t''
receipt\t''
auto-reply\t''
notice\t''
ordinary\t''"
complete -c spoolguard -n "__fish_spoolguard_using_subcommand inspect" -s d -l user -d 'The user whose mailbox it is [default: who runs this]' -r -f -a "(__fish_complete_users)"
complete -c spoolguard -n "__fish_spoolguard_using_subcommand inspect" -s a -l recipient -d 'The address it was sent to [default: RECIPIENT, LOCAL@DOMAIN, Delivered-To, or user@host]' -r -f
complete -c spoolguard -n "__fish_spoolguard_using_subcommand inspect" -s f -l sender -d 'The envelope sender; \'\' or \'<>\' is the null sender [default: SENDER, Return-Path, or the From_ line]' -r -f
complete -c spoolguard -n "__fish_spoolguard_using_subcommand inspect" -l config -d 'Read this configuration file, and no other' -r -F
complete -c spoolguard -n "__fish_spoolguard_using_subcommand inspect" -l json -d 'Print one JSON object a line'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand inspect" -l summary -d 'Print only counts: what the messages are, and what would be done'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand inspect" -s v -l verbose -d 'Log to standard error where there is no syslog; twice for more'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand inspect" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand replay" -l forward -d 'Forward to this address instead of appending; may be repeated' -r -f
complete -c spoolguard -n "__fish_spoolguard_using_subcommand replay" -s d -l user -d 'The user whose mailbox it is [default: who runs this]' -r -f -a "(__fish_complete_users)"
complete -c spoolguard -n "__fish_spoolguard_using_subcommand replay" -s a -l recipient -d 'The address it was sent to [default: RECIPIENT, LOCAL@DOMAIN, Delivered-To, or user@host]' -r -f
complete -c spoolguard -n "__fish_spoolguard_using_subcommand replay" -s f -l sender -d 'The envelope sender; \'\' or \'<>\' is the null sender [default: SENDER, Return-Path, or the From_ line]' -r -f
complete -c spoolguard -n "__fish_spoolguard_using_subcommand replay" -s m -l mailbox -d 'The mailbox: the path of an mbox, or of a Maildir with a slash at its end [default: [mailbox] location]' -r -F
complete -c spoolguard -n "__fish_spoolguard_using_subcommand replay" -l config -d 'Read this configuration file, and no other' -r -F
complete -c spoolguard -n "__fish_spoolguard_using_subcommand replay" -l keep -d 'Append a copy of what is forwarded'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand replay" -s n -l dry-run -d 'Show what would be done, and do nothing; a delivery exits with 75'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand replay" -s v -l verbose -d 'Log to standard error where there is no syslog; twice for more'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand replay" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand status" -l resume -a '(__spoolguard_destinations)' -d 'Forward to this address again, whoever suspended it' -r -f
complete -c spoolguard -n "__fish_spoolguard_using_subcommand status" -l suspend -a '(__spoolguard_destinations)' -d 'Keep what would be forwarded to this address in the mailbox, until --resume' -r -f
complete -c spoolguard -n "__fish_spoolguard_using_subcommand status" -l send-kept -a '(__spoolguard_destinations)' -d 'Send on what was kept for this address instead of being sent there, each message once, oldest first' -r -f
complete -c spoolguard -n "__fish_spoolguard_using_subcommand status" -l as -d 'The alias whose forwards they are, as in forward --as' -r
complete -c spoolguard -n "__fish_spoolguard_using_subcommand status" -s d -l user -d 'The user whose forwards they are [default: who runs this]' -r -f -a "(__fish_complete_users)"
complete -c spoolguard -n "__fish_spoolguard_using_subcommand status" -l config -d 'Read this configuration file, and no other' -r -F
complete -c spoolguard -n "__fish_spoolguard_using_subcommand status" -l json -d 'Print one JSON object a line'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand status" -l prometheus -d 'Print metrics for Prometheus\' textfile collector'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand status" -s y -l yes -d 'With --send-kept: do not ask'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand status" -l due -d 'Do what time has made due, although no mail came: end suspensions, write notices, send digests'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand status" -l all -d 'For every user and alias with a state directory; for root'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand status" -s n -l dry-run -d 'Show what would be done, and do nothing; a delivery exits with 75'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand status" -s v -l verbose -d 'Log to standard error where there is no syslog; twice for more'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand status" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand trace" -l log -d 'Read this log file; may be repeated, the oldest first [default: the journal, else /var/log/mail.log]' -r -F
complete -c spoolguard -n "__fish_spoolguard_using_subcommand trace" -l as -d 'The alias whose state is looked into, as in forward --as' -r
complete -c spoolguard -n "__fish_spoolguard_using_subcommand trace" -s d -l user -d 'The user whose state is looked into [default: who runs this; for root everybody\'s and every alias\'s]' -r -f -a "(__fish_complete_users)"
complete -c spoolguard -n "__fish_spoolguard_using_subcommand trace" -l config -d 'Read this configuration file, and no other' -r -F
complete -c spoolguard -n "__fish_spoolguard_using_subcommand trace" -l json -d 'Print one JSON object a line'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand trace" -s v -l verbose -d 'Log to standard error where there is no syslog; twice for more'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand trace" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand spool; and not __fish_seen_subcommand_from list archive sweep archives restore help" -l config -d 'Read this configuration file, and no other' -r -F
complete -c spoolguard -n "__fish_spoolguard_using_subcommand spool; and not __fish_seen_subcommand_from list archive sweep archives restore help" -s n -l dry-run -d 'Show what would be done, and do nothing; a delivery exits with 75'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand spool; and not __fish_seen_subcommand_from list archive sweep archives restore help" -s v -l verbose -d 'Log to standard error where there is no syslog; twice for more'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand spool; and not __fish_seen_subcommand_from list archive sweep archives restore help" -s h -l help -d 'Print help'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand spool; and not __fish_seen_subcommand_from list archive sweep archives restore help" -f -a "list" -d 'Show how large each mailbox is, what it holds, why it grows, and which command helps'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand spool; and not __fish_seen_subcommand_from list archive sweep archives restore help" -f -a "archive" -d 'Pack mail into an archive, read it back, and only then take it out of the mailbox'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand spool; and not __fish_seen_subcommand_from list archive sweep archives restore help" -f -a "sweep" -d 'Take bounces, loops and duplicates out of a mailbox into an archive; leave the rest as it is, in order'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand spool; and not __fish_seen_subcommand_from list archive sweep archives restore help" -f -a "archives" -d 'List the archives, the newest of each user first'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand spool; and not __fish_seen_subcommand_from list archive sweep archives restore help" -f -a "restore" -d 'Put archived mail back into a mailbox, nothing twice'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand spool; and not __fish_seen_subcommand_from list archive sweep archives restore help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand spool; and __fish_seen_subcommand_from list" -l larger-than -d 'Only mailboxes that are larger than this' -r
complete -c spoolguard -n "__fish_spoolguard_using_subcommand spool; and __fish_seen_subcommand_from list" -l sort -d 'In which order' -r -f -a "size\t'The largest first'
messages\t'The one with the most messages first'
bounces\t'The one with the most reports from mail systems first'
growth\t'The one that grew most since the last look first'
oldest\t'The one with the oldest mail first'
name\t'By name'"
complete -c spoolguard -n "__fish_spoolguard_using_subcommand spool; and __fish_seen_subcommand_from list" -l top -d 'Only so many' -r
complete -c spoolguard -n "__fish_spoolguard_using_subcommand spool; and __fish_seen_subcommand_from list" -l config -d 'Read this configuration file, and no other' -r -F
complete -c spoolguard -n "__fish_spoolguard_using_subcommand spool; and __fish_seen_subcommand_from list" -l fresh -d 'Read everything again, whatever the last look found'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand spool; and __fish_seen_subcommand_from list" -l contents -d 'Read the messages of Maildirs, too: what they are, and why they grow'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand spool; and __fish_seen_subcommand_from list" -l json -d 'Print one JSON object a line'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand spool; and __fish_seen_subcommand_from list" -l prometheus -d 'Print metrics for Prometheus\' textfile collector'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand spool; and __fish_seen_subcommand_from list" -s v -l verbose -d 'Log to standard error where there is no syslog; twice for more'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand spool; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand spool; and __fish_seen_subcommand_from archive" -l larger-than -d 'Only mailboxes that are larger than this' -r
complete -c spoolguard -n "__fish_spoolguard_using_subcommand spool; and __fish_seen_subcommand_from archive" -s d -l user -d 'Whose mail a path holds [default: who owns the file]' -r -f -a "(__fish_complete_users)"
complete -c spoolguard -n "__fish_spoolguard_using_subcommand spool; and __fish_seen_subcommand_from archive" -l older-than -d 'What was delivered longer ago than this' -r
complete -c spoolguard -n "__fish_spoolguard_using_subcommand spool; and __fish_seen_subcommand_from archive" -l down-to -d 'No more than is needed, oldest first, so that no more than this remains' -r
complete -c spoolguard -n "__fish_spoolguard_using_subcommand spool; and __fish_seen_subcommand_from archive" -l to -d 'The directory of the archive [default: dir of [archive] in the configuration]' -r -f -a "(__fish_complete_directories)"
complete -c spoolguard -n "__fish_spoolguard_using_subcommand spool; and __fish_seen_subcommand_from archive" -l lock-at-most -d 'Take nothing out when what stays behind it would be moved under the lock for longer than this' -r
complete -c spoolguard -n "__fish_spoolguard_using_subcommand spool; and __fish_seen_subcommand_from archive" -l config -d 'Read this configuration file, and no other' -r -F
complete -c spoolguard -n "__fish_spoolguard_using_subcommand spool; and __fish_seen_subcommand_from archive" -l all -d 'Every mailbox of the spool directory, or every user\'s Maildir'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand spool; and __fish_seen_subcommand_from archive" -l all-mail -d 'Everything'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand spool; and __fish_seen_subcommand_from archive" -l bounces -d 'Bounces, and other reports of MTAs'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand spool; and __fish_seen_subcommand_from archive" -l seen -d 'What the user has seen'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand spool; and __fish_seen_subcommand_from archive" -s y -l yes -d 'Do it without asking'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand spool; and __fish_seen_subcommand_from archive" -l json -d 'Print one JSON object a line'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand spool; and __fish_seen_subcommand_from archive" -s n -l dry-run -d 'Show what would be done, and do nothing; a delivery exits with 75'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand spool; and __fish_seen_subcommand_from archive" -s v -l verbose -d 'Log to standard error where there is no syslog; twice for more'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand spool; and __fish_seen_subcommand_from archive" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand spool; and __fish_seen_subcommand_from sweep" -l larger-than -d 'Only mailboxes that are larger than this' -r
complete -c spoolguard -n "__fish_spoolguard_using_subcommand spool; and __fish_seen_subcommand_from sweep" -s d -l user -d 'Whose mail a path holds [default: who owns the file]' -r -f -a "(__fish_complete_users)"
complete -c spoolguard -n "__fish_spoolguard_using_subcommand spool; and __fish_seen_subcommand_from sweep" -l older-than -d 'Only what was delivered longer ago than this' -r
complete -c spoolguard -n "__fish_spoolguard_using_subcommand spool; and __fish_seen_subcommand_from sweep" -l to -d 'The directory of the archive [default: dir of [archive] in the configuration]' -r -f -a "(__fish_complete_directories)"
complete -c spoolguard -n "__fish_spoolguard_using_subcommand spool; and __fish_seen_subcommand_from sweep" -l lock-at-most -d 'Take nothing out when what stays behind it would be moved under the lock for longer than this' -r
complete -c spoolguard -n "__fish_spoolguard_using_subcommand spool; and __fish_seen_subcommand_from sweep" -l config -d 'Read this configuration file, and no other' -r -F
complete -c spoolguard -n "__fish_spoolguard_using_subcommand spool; and __fish_seen_subcommand_from sweep" -l all -d 'Every mailbox of the spool directory, or every user\'s Maildir'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand spool; and __fish_seen_subcommand_from sweep" -l bounces -d 'Bounces, and other reports of MTAs'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand spool; and __fish_seen_subcommand_from sweep" -l loops -d 'What has been here before'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand spool; and __fish_seen_subcommand_from sweep" -l duplicates -d 'What the mailbox holds already, further up'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand spool; and __fish_seen_subcommand_from sweep" -l rescue -d 'Put the messages that these reports carry inside into the mailbox first, each once'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand spool; and __fish_seen_subcommand_from sweep" -s y -l yes -d 'Do it without asking'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand spool; and __fish_seen_subcommand_from sweep" -l json -d 'Print one JSON object a line'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand spool; and __fish_seen_subcommand_from sweep" -s n -l dry-run -d 'Show what would be done, and do nothing; a delivery exits with 75'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand spool; and __fish_seen_subcommand_from sweep" -s v -l verbose -d 'Log to standard error where there is no syslog; twice for more'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand spool; and __fish_seen_subcommand_from sweep" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand spool; and __fish_seen_subcommand_from archives" -l config -d 'Read this configuration file, and no other' -r -F
complete -c spoolguard -n "__fish_spoolguard_using_subcommand spool; and __fish_seen_subcommand_from archives" -l json -d 'Print one JSON object a line'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand spool; and __fish_seen_subcommand_from archives" -s v -l verbose -d 'Log to standard error where there is no syslog; twice for more'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand spool; and __fish_seen_subcommand_from archives" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand spool; and __fish_seen_subcommand_from restore" -l since -d 'Only what was delivered on this day or later' -r
complete -c spoolguard -n "__fish_spoolguard_using_subcommand spool; and __fish_seen_subcommand_from restore" -l until -d 'Only what was delivered before this day' -r
complete -c spoolguard -n "__fish_spoolguard_using_subcommand spool; and __fish_seen_subcommand_from restore" -l from -d 'Only what this address or name sent' -r
complete -c spoolguard -n "__fish_spoolguard_using_subcommand spool; and __fish_seen_subcommand_from restore" -l message-id -d 'Only the message with this Message-ID; may be repeated' -r
complete -c spoolguard -n "__fish_spoolguard_using_subcommand spool; and __fish_seen_subcommand_from restore" -s d -l user -d 'Whose mailbox it goes to [default: what the archive\'s name says]' -r -f -a "(__fish_complete_users)"
complete -c spoolguard -n "__fish_spoolguard_using_subcommand spool; and __fish_seen_subcommand_from restore" -s m -l mailbox -d 'The mailbox, the path of an mbox, or of a Maildir with a slash at its end [default: [mailbox] location]' -r -F
complete -c spoolguard -n "__fish_spoolguard_using_subcommand spool; and __fish_seen_subcommand_from restore" -l config -d 'Read this configuration file, and no other' -r -F
complete -c spoolguard -n "__fish_spoolguard_using_subcommand spool; and __fish_seen_subcommand_from restore" -l overflow -d 'What lies in the user\'s overflow, oldest first, as far as it fits'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand spool; and __fish_seen_subcommand_from restore" -l list -d 'List what is in them, and put nothing back'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand spool; and __fish_seen_subcommand_from restore" -s y -l yes -d 'Do it without asking'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand spool; and __fish_seen_subcommand_from restore" -l json -d 'Print one JSON object a line'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand spool; and __fish_seen_subcommand_from restore" -l ignore-quota -d 'Put back even what makes the mailbox larger than it may grow'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand spool; and __fish_seen_subcommand_from restore" -s n -l dry-run -d 'Show what would be done, and do nothing; a delivery exits with 75'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand spool; and __fish_seen_subcommand_from restore" -s v -l verbose -d 'Log to standard error where there is no syslog; twice for more'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand spool; and __fish_seen_subcommand_from restore" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand spool; and __fish_seen_subcommand_from help" -f -a "list" -d 'Show how large each mailbox is, what it holds, why it grows, and which command helps'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand spool; and __fish_seen_subcommand_from help" -f -a "archive" -d 'Pack mail into an archive, read it back, and only then take it out of the mailbox'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand spool; and __fish_seen_subcommand_from help" -f -a "sweep" -d 'Take bounces, loops and duplicates out of a mailbox into an archive; leave the rest as it is, in order'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand spool; and __fish_seen_subcommand_from help" -f -a "archives" -d 'List the archives, the newest of each user first'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand spool; and __fish_seen_subcommand_from help" -f -a "restore" -d 'Put archived mail back into a mailbox, nothing twice'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand spool; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand doctor" -s d -l user -d 'Look only at how this user\'s mail is handled' -r -f -a "(__fish_complete_users)"
complete -c spoolguard -n "__fish_spoolguard_using_subcommand doctor" -l as -d 'Look only at how mail for this alias is handled' -r
complete -c spoolguard -n "__fish_spoolguard_using_subcommand doctor" -l pair -d 'Look only at whether two hosts see each other\'s locks in this shared directory; run it on both' -r -f -a "(__fish_complete_directories)"
complete -c spoolguard -n "__fish_spoolguard_using_subcommand doctor" -l config -d 'Read this configuration file, and no other' -r -F
complete -c spoolguard -n "__fish_spoolguard_using_subcommand doctor" -l json -d 'Print one JSON object a line'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand doctor" -s v -l verbose -d 'Log to standard error where there is no syslog; twice for more'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand doctor" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand config; and not __fish_seen_subcommand_from check show help" -l config -d 'Read this configuration file, and no other' -r -F
complete -c spoolguard -n "__fish_spoolguard_using_subcommand config; and not __fish_seen_subcommand_from check show help" -s v -l verbose -d 'Log to standard error where there is no syslog; twice for more'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand config; and not __fish_seen_subcommand_from check show help" -s h -l help -d 'Print help'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand config; and not __fish_seen_subcommand_from check show help" -f -a "check" -d 'Check whether it can be used; show every mistake with its line'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand config; and not __fish_seen_subcommand_from check show help" -f -a "show" -d 'Show every key with its value and the file that sets it'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand config; and not __fish_seen_subcommand_from check show help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand config; and __fish_seen_subcommand_from check" -l config -d 'Read this configuration file, and no other' -r -F
complete -c spoolguard -n "__fish_spoolguard_using_subcommand config; and __fish_seen_subcommand_from check" -s v -l verbose -d 'Log to standard error where there is no syslog; twice for more'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand config; and __fish_seen_subcommand_from check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand config; and __fish_seen_subcommand_from show" -l config -d 'Read this configuration file, and no other' -r -F
complete -c spoolguard -n "__fish_spoolguard_using_subcommand config; and __fish_seen_subcommand_from show" -l changed -d 'Show only keys whose value is not the default'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand config; and __fish_seen_subcommand_from show" -s v -l verbose -d 'Log to standard error where there is no syslog; twice for more'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand config; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand config; and __fish_seen_subcommand_from help" -f -a "check" -d 'Check whether it can be used; show every mistake with its line'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand config; and __fish_seen_subcommand_from help" -f -a "show" -d 'Show every key with its value and the file that sets it'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand config; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand help; and not __fish_seen_subcommand_from deliver forward filter return sendmail policy inspect replay status trace spool doctor config help" -f -a "deliver" -d 'Judge the message on standard input, then append it to the mailbox'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand help; and not __fish_seen_subcommand_from deliver forward filter return sendmail policy inspect replay status trace spool doctor config help" -f -a "forward" -d 'Judge the message on standard input, then forward it'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand help; and not __fish_seen_subcommand_from deliver forward filter return sendmail policy inspect replay status trace spool doctor config help" -f -a "filter" -d 'Copy standard input to standard output with the verdict in a header, X-Spoolguard-Verdict'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand help; and not __fish_seen_subcommand_from deliver forward filter return sendmail policy inspect replay status trace spool doctor config help" -f -a "return" -d 'Return a bounce that came to an SRS address to whoever wrote the message'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand help; and not __fish_seen_subcommand_from deliver forward filter return sendmail policy inspect replay status trace spool doctor config help" -f -a "sendmail" -d 'Stand in for sendmail: a Sieve redirect becomes a guarded forward, everything else goes to the real one'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand help; and not __fish_seen_subcommand_from deliver forward filter return sendmail policy inspect replay status trace spool doctor config help" -f -a "policy" -d 'Answer whether mailboxes have room, while the client that sends is still there'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand help; and not __fish_seen_subcommand_from deliver forward filter return sendmail policy inspect replay status trace spool doctor config help" -f -a "inspect" -d 'Show what each message is, by which markers, and what would be done with it'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand help; and not __fish_seen_subcommand_from deliver forward filter return sendmail policy inspect replay status trace spool doctor config help" -f -a "replay" -d 'Run every message of a stored mailbox through the guard'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand help; and not __fish_seen_subcommand_from deliver forward filter return sendmail policy inspect replay status trace spool doctor config help" -f -a "status" -d 'Show which forwards fail or are suspended; suspend one, or resume it'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand help; and not __fish_seen_subcommand_from deliver forward filter return sendmail policy inspect replay status trace spool doctor config help" -f -a "trace" -d 'Show what became of a message, or of the mail of an address, from the log and from the state'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand help; and not __fish_seen_subcommand_from deliver forward filter return sendmail policy inspect replay status trace spool doctor config help" -f -a "spool" -d 'Maintain mailboxes that have grown: list, archive, sweep, restore'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand help; and not __fish_seen_subcommand_from deliver forward filter return sendmail policy inspect replay status trace spool doctor config help" -f -a "doctor" -d 'Check this host\'s mail setup'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand help; and not __fish_seen_subcommand_from deliver forward filter return sendmail policy inspect replay status trace spool doctor config help" -f -a "config" -d 'Check or show the configuration'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand help; and not __fish_seen_subcommand_from deliver forward filter return sendmail policy inspect replay status trace spool doctor config help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand help; and __fish_seen_subcommand_from spool" -f -a "list" -d 'Show how large each mailbox is, what it holds, why it grows, and which command helps'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand help; and __fish_seen_subcommand_from spool" -f -a "archive" -d 'Pack mail into an archive, read it back, and only then take it out of the mailbox'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand help; and __fish_seen_subcommand_from spool" -f -a "sweep" -d 'Take bounces, loops and duplicates out of a mailbox into an archive; leave the rest as it is, in order'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand help; and __fish_seen_subcommand_from spool" -f -a "archives" -d 'List the archives, the newest of each user first'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand help; and __fish_seen_subcommand_from spool" -f -a "restore" -d 'Put archived mail back into a mailbox, nothing twice'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand help; and __fish_seen_subcommand_from config" -f -a "check" -d 'Check whether it can be used; show every mistake with its line'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand help; and __fish_seen_subcommand_from config" -f -a "show" -d 'Show every key with its value and the file that sets it'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand trace" -f -a '(__spoolguard_destinations)'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand spool; and __fish_seen_subcommand_from list archive sweep archives restore" -a '(__fish_complete_users)'
complete -c spoolguard -n "__fish_spoolguard_using_subcommand spool; and __fish_seen_subcommand_from restore" -a '(__spoolguard_archives)'
