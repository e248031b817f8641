//! Makes a cluster and runs its server.

use std::fs;
use std::path::Path;

use super::PostgresServerBuilder;
use super::keeper::{Folder, Keeper};
use crate::Error;

/// Arguments: folder, bin folder, encoding, locale, the primary's port if it is to be a standby, then the server's own.
///
/// The background group's standard input is /dev/null, as POSIX has it for a shell without job
/// control, so that the server does not hold the pipe. The signal is repeated because the pipe may
/// close before there is a server to stop.
const KEEPER: &str = r#"
folder=$1 bin=$2 encoding=$3 locale=$4 primary=$5
shift 5
make() {
    if [ -n "$primary" ]; then
        "$bin/pg_basebackup" --pgdata="$folder/data" --host=127.0.0.1 --port="$primary" --username=postgres \
            --write-recovery-conf --checkpoint=fast --no-sync
    else
        "$bin/initdb" --pgdata="$folder/data" --username=postgres --auth=trust \
            --encoding="$encoding" --locale="$locale" --no-sync
    fi
}
{
    make >"$folder/log" 2>&1 &&
        "$bin/postgres" -D "$folder/data" "$@" >>"$folder/log" 2>&1
    echo $? >"$folder/exit"
} &
while read -r _; do :; done
while [ ! -e "$folder/exit" ]; do
    pid=$(head -n 1 "$folder/data/postmaster.pid" 2>/dev/null)
    [ -n "$pid" ] && kill -QUIT "$pid" 2>/dev/null
    sleep 0.02
done
wait
cd /
rm -rf "$folder"
"#;

/// Settings that trade the durability nobody needs here for speed.
const SETTINGS: &[(&str, &str)] = &[
    ("fsync", "off"),
    ("synchronous_commit", "off"),
    ("full_page_writes", "off"),
    ("listen_addresses", "127.0.0.1"),
    ("unix_socket_directories", ""),
    ("lc_messages", "C"),
];

/// Starts the keeper, which makes a cluster in a folder of its own and starts its server.
pub(super) fn spawn(builder: &PostgresServerBuilder, bin: &Path, port: u16) -> Result<Keeper, Error> {
    let mut arguments = vec![
        bin.as_os_str().to_owned(),
        builder.encoding.as_str().into(),
        builder.locale_or_default().into(),
        builder.primary.map_or_else(String::new, |port| port.to_string()).into(),
    ];
    let settings = SETTINGS.iter().copied();
    let more = builder
        .settings
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    let port = port.to_string();
    for (name, value) in [("port", port.as_str())].into_iter().chain(settings).chain(more) {
        arguments.extend(["-c".into(), format!("{name}={value}").into()]);
    }
    Keeper::spawn(Folder::make()?, KEEPER, arguments)
}

/// The eighth line of `postmaster.pid` is the server's state.
pub(super) fn is_ready(folder: &Path) -> bool {
    fs::read_to_string(folder.join("data/postmaster.pid"))
        .is_ok_and(|text| text.lines().nth(7).is_some_and(|state| state.trim_end() == "ready"))
}
