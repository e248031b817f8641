//! The few messages of the wire protocol that come before a session, or instead of one.

use std::io::{self, Read, Write};
use std::net::TcpStream;

/// PostgreSQL's own bound on a startup packet.
const PACKET_BYTES_MAX: usize = 10_000;

const CANCEL_REQUEST: u32 = 80_877_102;
const SSL_REQUEST: u32 = 80_877_103;
const GSSENC_REQUEST: u32 = 80_877_104;

/// Reads up to the startup packet, and returns it whole, or None where the client wants no
/// session: it asks to cancel a statement, which the embedded server can't, or goes away.
pub(super) fn read(client: &mut TcpStream) -> io::Result<Option<Vec<u8>>> {
    loop {
        let mut head = [0; 8];
        match client.read_exact(&mut head) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            other => other?,
        }
        let [l0, l1, l2, l3, c0, c1, c2, c3] = head;
        let length = u32::from_be_bytes([l0, l1, l2, l3]) as usize;
        match u32::from_be_bytes([c0, c1, c2, c3]) {
            SSL_REQUEST | GSSENC_REQUEST => client.write_all(b"N")?,
            CANCEL_REQUEST => return Ok(None),
            _ if !(head.len()..=PACKET_BYTES_MAX).contains(&length) => {
                return Err(io::ErrorKind::InvalidData.into());
            }
            _ => {
                let mut packet = head.to_vec();
                packet.resize(length, 0);
                client.read_exact(&mut packet[head.len()..])?;
                return Ok(Some(packet));
            }
        }
    }
}

/// An ErrorResponse that refuses the session.
pub(super) fn refusal(sqlstate: &str, message: &str) -> Vec<u8> {
    let mut fields = Vec::new();
    for (field, text) in [('S', "FATAL"), ('V', "FATAL"), ('C', sqlstate), ('M', message)] {
        fields.push(field as u8);
        fields.extend_from_slice(text.as_bytes());
        fields.push(0);
    }
    fields.push(0);
    let length = (fields.len() + 4) as u32;
    [b"E".as_slice(), &length.to_be_bytes(), &fields].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, Shutdown, TcpListener};

    /// What [`read`] returns to a client that sends `bytes` and no more, and what it answers.
    fn read_from(bytes: &[u8]) -> (io::Result<Option<Vec<u8>>>, Vec<u8>) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        client.write_all(bytes).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        let packet = read(&mut server);
        drop(server);
        let mut answer = Vec::new();
        // Bytes that were not read reset the connection.
        let _ = client.read_to_end(&mut answer);
        (packet, answer)
    }

    fn request(code: u32, rest: &[u8]) -> Vec<u8> {
        let length = (8 + rest.len()) as u32;
        [&length.to_be_bytes(), &code.to_be_bytes(), rest].concat()
    }

    #[test]
    fn encryption_is_declined_and_the_packet_returned_whole() {
        let startup = request(196_608, b"user\0postgres\0\0");
        let bytes = [request(SSL_REQUEST, b""), request(GSSENC_REQUEST, b""), startup.clone()];
        let (packet, answer) = read_from(&bytes.concat());
        assert_eq!(packet.unwrap(), Some(startup));
        assert_eq!(answer, b"NN");
    }

    #[test]
    fn a_cancel_or_a_farewell_is_no_session() {
        assert_eq!(read_from(&request(CANCEL_REQUEST, b"")).0.unwrap(), None);
        assert_eq!(read_from(b"").0.unwrap(), None);
    }

    #[test]
    fn a_packet_of_another_protocol_is_an_error() {
        assert!(read_from(b"GET / HTTP/1.1\r\n\r\n").0.is_err());
        assert!(read_from(&request(196_608, b"")[..7]).0.unwrap().is_none());
    }

    #[test]
    fn a_refusal_is_as_long_as_it_says() {
        let message = refusal("53300", "no");
        assert_eq!(message[0], b'E');
        assert_eq!(message[1..5], (message.len() as u32 - 1).to_be_bytes());
        assert!(message.ends_with(b"C53300\0Mno\0\0"));
    }
}
