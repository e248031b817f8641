//! A throwaway pgbouncer, for tests of what goes through a pooler.

use std::net::{Ipv4Addr, TcpStream};

use super::keeper::{Folder, Keeper};
use super::{PostgresServer, START_ATTEMPTS_MAX, SUPERUSER, free_port, url};
use crate::Error;

/// The background group's standard input is /dev/null: see the server's keeper.
const KEEPER: &str = r#"
folder=$1
{
    PATH="$PATH:/usr/sbin:/usr/local/sbin" pgbouncer "$folder/pgbouncer.ini" >"$folder/log" 2>&1
    echo $? >"$folder/exit"
} &
while read -r _; do :; done
while [ ! -e "$folder/exit" ]; do
    pid=$(cat "$folder/pid" 2>/dev/null)
    [ -n "$pid" ] && kill -TERM "$pid" 2>/dev/null
    sleep 0.02
done
wait
cd /
rm -rf "$folder"
"#;

/// A throwaway pgbouncer before a [`PostgresServer`], on a free port of 127.0.0.1.
///
/// Its settings are the defaults but for those that are told; it lets the superuser in without a
/// password. It runs as the server does, and ends, and its folder goes, with a drop or with the process.
#[derive(Debug)]
pub struct Pgbouncer {
    /// Dropped with this struct, which stops it.
    _keeper: Keeper,
    port: u16,
}

impl Pgbouncer {
    /// Starts it with more settings, such as `("pool_mode", "transaction")`.
    pub fn start(server: &PostgresServer, settings: &[(&str, &str)]) -> Result<Self, Error> {
        let mut attempt = 1;
        loop {
            let port = free_port().map_err(|source| Error::ServerSpawn { source })?;
            let keeper = spawn(server, settings, port)?;
            match keeper.wait_until_ready(|_| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()) {
                Ok(()) => return Ok(Self { _keeper: keeper, port }),
                Err(Error::ServerStart { log, .. })
                    if log.contains("Address already in use") && attempt < START_ATTEMPTS_MAX =>
                {
                    tracing::warn!(port, attempt, "the port is taken, trying another");
                    attempt += 1;
                }
                Err(Error::ServerStart { log, .. }) if log.contains("not found") => {
                    return Err(Error::PgbouncerMissing);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The URL of a database, for the superuser.
    pub fn url(&self, database: &str) -> String {
        url(self.port, database)
    }
}

fn spawn(server: &PostgresServer, settings: &[(&str, &str)], port: u16) -> Result<Keeper, Error> {
    let folder = Folder::make()?;
    folder.write("users", &format!("\"{SUPERUSER}\" \"\"\n"))?;
    let mut text = format!(
        "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
         unix_socket_dir =\nauth_type = trust\nauth_file = users\npidfile = pid\n",
        server.port()
    );
    for (name, value) in settings {
        text += &format!("{name} = {value}\n");
    }
    folder.write("pgbouncer.ini", &text)?;
    Keeper::spawn(folder, KEEPER, [""; 0])
}
