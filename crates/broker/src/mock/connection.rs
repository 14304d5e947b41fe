//! One client's connection to a node. Unlike a broker's, it reads on while answers wait for their time: a slow round trip is no slow broker.

use std::net::IpAddr;
use std::rc::Rc;

use felice_net::{FrameReader, FrameWriter, Stream};
use tracing::debug;

use super::driver::Driver;
use crate::driver::Delivery;

/// Longer requests close the connection.
const MAX_FRAME: usize = 100 * 1024 * 1024;

/// Serves a client until it goes, or the cluster has enough of it.
pub(super) async fn serve(driver: Rc<Driver>, node: i32, stream: Stream, peer: IpAddr) {
    let (id, slot) = driver.connect(node, peer);
    let (reader, writer) = stream.into_split();
    let mut reader = FrameReader::new(reader, MAX_FRAME);
    let mut writer = FrameWriter::new(writer);
    'open: loop {
        while let Some(delivery) = slot.take() {
            match delivery {
                Delivery::Frame(frame) => writer.push(frame),
                Delivery::Close(..) => {
                    let _ = writer.flush().await;
                    break 'open;
                }
            }
        }
        if writer.has_work() && writer.flush().await.is_err() {
            break;
        }
        tokio::select! {
            biased;
            () = slot.notify.notified() => {}
            frame = reader.next(), if driver.has_room(id) => match frame {
                Ok(Some(frame)) => driver.request(id, frame),
                Ok(None) => break,
                Err(error) => {
                    debug!("a connection to node {node} failed: {error}");
                    break;
                }
            },
        }
    }
    driver.disconnect(id);
}
