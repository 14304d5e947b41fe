//! Frames through pipes and sockets.

#![expect(clippy::unwrap_used, reason = "a test ends where anything fails")]

use std::io::IoSlice;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use felice_net::{FrameError, FrameReader, FrameWriter};
use felice_protocol::primitives::Encoder;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt, duplex};

fn frame(body: &[u8]) -> Vec<u8> {
    [&u32::try_from(body.len()).unwrap().to_be_bytes()[..], body].concat()
}

#[tokio::test]
async fn frames_come_out_whole_however_the_bytes_arrive() {
    let bodies: Vec<Vec<u8>> = [0, 1, 3, 100, 9_000, 70_000, 2, 200_000].iter().map(|&size| vec![7_u8; size]).collect();
    let bytes = bodies.iter().flat_map(|body| frame(body)).collect::<Vec<_>>();
    for piece in [1, 3, 4_096, 65_537, bytes.len()] {
        let (mut writer, reader) = duplex(bytes.len());
        for chunk in bytes.chunks(piece) {
            writer.write_all(chunk).await.unwrap();
        }
        drop(writer);
        let mut reader = FrameReader::new(reader, 1 << 20);
        for body in &bodies {
            assert_eq!(reader.next().await.unwrap().unwrap(), body);
        }
        assert!(reader.next().await.unwrap().is_none());
        assert_eq!(reader.frames(), 8);
    }
}

#[tokio::test]
async fn one_read_brings_many_small_frames_that_share_a_buffer() {
    let (mut writer, reader) = duplex(1 << 20);
    let bytes = (0..500_u32).flat_map(|number| frame(&number.to_be_bytes())).collect::<Vec<_>>();
    writer.write_all(&bytes).await.unwrap();
    let mut reader = FrameReader::new(reader, 100);
    let first = reader.next().await.unwrap().unwrap();
    let mut frames = vec![first];
    while let Some(frame) = reader.next_buffered().unwrap() {
        frames.push(frame);
    }
    assert_eq!(frames.len(), 500, "all came with the first read");
    let apart = frames[499].as_ptr() as usize - frames[0].as_ptr() as usize;
    assert_eq!(apart, 499 * 8, "nothing was copied");
    for (number, frame) in (0_u32..).zip(&frames) {
        assert_eq!(frame, &number.to_be_bytes()[..]);
    }
}

#[tokio::test]
async fn a_length_above_the_limit_is_refused_before_anything_is_allocated() {
    for (bytes, expected) in [
        (&i32::MAX.to_be_bytes(), "TooLarge"),
        (&1001_i32.to_be_bytes(), "TooLarge"),
        (&(-1_i32).to_be_bytes(), "Negative"),
        (&[0x16, 3, 1, 2], "Tls"),
        (b"GET ", "Http"),
    ] {
        let (mut writer, reader) = duplex(100);
        writer.write_all(bytes).await.unwrap();
        let mut reader = FrameReader::new(reader, 1000);
        let error = reader.next().await.unwrap_err();
        assert!(format!("{error:?}").starts_with(expected), "{error:?}");
        assert!(error.hint().is_some());
    }
}

#[tokio::test]
async fn bytes_that_look_like_tls_are_a_length_once_frames_have_come() {
    let (mut writer, reader) = duplex(100);
    writer.write_all(&frame(b"first")).await.unwrap();
    writer.write_all(&[0x15, 3, 3, 0]).await.unwrap();
    let mut reader = FrameReader::new(reader, 1000);
    assert_eq!(reader.next().await.unwrap().unwrap(), "first");
    assert!(matches!(reader.next().await.unwrap_err(), FrameError::TooLarge { length: 0x1503_0300, .. }));
}

#[tokio::test]
async fn an_end_within_a_frame_is_an_error() {
    for (bytes, text) in [(&[0, 0][..], "2 of 4 bytes"), (&[0, 0, 0, 9, 1], "5 of 13 bytes")] {
        let (mut writer, reader) = duplex(100);
        writer.write_all(bytes).await.unwrap();
        drop(writer);
        let error = FrameReader::new(reader, 100).next().await.unwrap_err();
        assert!(error.to_string().contains(text), "{error}");
    }
}

#[tokio::test]
async fn waiting_can_be_given_up_without_losing_a_byte() {
    let (mut writer, reader) = duplex(1 << 20);
    let mut reader = FrameReader::new(reader, 1 << 20);
    let body = (0..=255_u8).cycle().take(300_000).collect::<Vec<_>>();
    for chunk in frame(&body).chunks(10_007) {
        writer.write_all(chunk).await.unwrap();
        tokio::select! {
            biased;
            frame = reader.next() => return assert_eq!(frame.unwrap().unwrap(), body),
            () = tokio::task::yield_now() => {}
        }
    }
    assert_eq!(reader.next().await.unwrap().unwrap(), body);
}

/// Takes a few bytes at a time and counts the calls.
struct Narrow {
    taken: Vec<u8>,
    calls: usize,
    most: usize,
}

impl AsyncWrite for Narrow {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<std::io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        assert!(!bufs.is_empty() && bufs.len() <= 64);
        self.calls += 1;
        let most = self.most;
        let before = self.taken.len();
        let bytes = bufs.iter().flat_map(|slice| slice.iter().copied()).take(most).collect::<Vec<_>>();
        self.taken.extend(bytes);
        Poll::Ready(Ok(self.taken.len() - before))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn queued_frames_are_written_in_order_across_partial_writes() {
    for most in [1, 7, 4_999, usize::MAX] {
        let mut narrow = Narrow { taken: Vec::new(), calls: 0, most };
        let mut expected = Vec::new();
        let mut writer = FrameWriter::new(&mut narrow);
        for number in 0..100_u8 {
            let batch = Bytes::from(vec![number; if number % 10 == 0 { 5_000 } else { 3 }]);
            let mut encoder = Encoder::new();
            encoder.raw(b"header");
            encoder.raw_shared(&batch);
            expected.extend(frame(&[&b"header"[..], &batch].concat()));
            writer.push(encoder.finish_framed().unwrap());
        }
        assert_eq!(writer.queued_bytes(), expected.len());
        writer.flush().await.unwrap();
        assert!(!writer.has_work());
        assert!(narrow.taken == expected);
        if most == usize::MAX {
            assert!(narrow.calls <= 4, "{} calls for 210 pieces", narrow.calls);
        }
    }
}

#[tokio::test]
async fn a_frame_of_tens_of_megabytes_passes_a_socket() {
    let listener = felice_net::Listener::bind("127.0.0.1:0", None).await.unwrap();
    let address = listener.local_addr().unwrap();
    let body = Bytes::from((0..=250_u8).cycle().take(40_000_000).collect::<Vec<_>>());
    let sent = body.clone();
    let server = tokio::spawn(async move {
        let incoming = listener.accept().await.unwrap();
        let stream = incoming.handshake(std::time::Duration::from_secs(1)).await.unwrap();
        let (mut reader, writer) = stream.into_split();
        let mut writer = FrameWriter::new(writer);
        writer.push_bytes(Bytes::copy_from_slice(&40_000_000_u32.to_be_bytes()));
        writer.push_bytes(sent);
        writer.flush().await.unwrap();
        assert_eq!(reader.read(&mut [0; 1]).await.unwrap(), 0);
        // The peer is gone: an error, not an end of the process (Rust's tests ignore SIGPIPE; a C host does not).
        for _ in 0..100 {
            writer.push_bytes(Bytes::from_static(&[0; 4096]));
            if writer.flush().await.is_err() {
                return;
            }
        }
        panic!("writing to a closed connection succeeded");
    });
    let limit = std::time::Duration::from_secs(5);
    let stream = felice_net::connect(&address.to_string(), &felice_net::Security::Plaintext, limit).await.unwrap();
    let mut reader = FrameReader::new(stream, 100_000_000);
    let received = reader.next().await.unwrap().unwrap();
    assert!(received == body);
    drop(reader);
    server.await.unwrap();
}
