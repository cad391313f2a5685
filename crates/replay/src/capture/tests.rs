//! Captures built byte by byte, and what is read of them.

use std::io::{Cursor, Write as _};

use super::*;

const T0: u64 = 1_700_000_000_000_000_000;

/// A frame's number, nanoseconds, interface, link type, wire length and bytes.
type Seen = (u64, u64, u32, u16, u32, Vec<u8>);

fn open(bytes: &[u8]) -> Result<Capture, OpenCaptureError> {
    Capture::open(Cursor::new(bytes.to_vec()), "test", CaptureLimits::default())
}

/// Every frame, and how the capture ended.
fn drain(capture: &mut Capture) -> (Vec<Seen>, Option<ReadCaptureError>) {
    let mut seen = Vec::new();
    loop {
        match capture.next_frame() {
            Ok(Some(frame)) => seen.push((
                frame.number,
                frame.time.as_nanos(),
                frame.interface.0,
                frame.link_type.0,
                frame.wire_len,
                frame.data.to_vec(),
            )),
            Ok(None) => return (seen, None),
            Err(error) => {
                assert_eq!(capture.next_frame(), Ok(None), "an error is told once");
                return (seen, Some(error));
            }
        }
    }
}

#[track_caller]
fn check(bytes: &[u8], frames: &[Seen], end: Option<ReadCaptureError>) -> Capture {
    let mut capture = open(bytes).map_err(|error| error.to_string()).expect("a capture");
    assert_eq!(drain(&mut capture), (frames.to_vec(), end));
    assert_eq!(capture.frame_count(), frames.len() as u64);
    capture
}

#[track_caller]
fn check_refused(bytes: &[u8], expected: OpenCaptureError) {
    assert_eq!(open(bytes).err(), Some(expected));
}

/// Writes integers in one byte order.
#[derive(Clone, Default)]
struct Bytes {
    big: bool,
    bytes: Vec<u8>,
}

impl Bytes {
    fn new(big: bool) -> Self {
        Self { big, bytes: Vec::new() }
    }

    fn u16(mut self, value: u16) -> Self {
        let field = if self.big { value.to_be_bytes() } else { value.to_le_bytes() };
        self.bytes.extend(field);
        self
    }

    fn u32(mut self, value: u32) -> Self {
        let field = if self.big { value.to_be_bytes() } else { value.to_le_bytes() };
        self.bytes.extend(field);
        self
    }

    fn u64(mut self, value: u64) -> Self {
        let field = if self.big { value.to_be_bytes() } else { value.to_le_bytes() };
        self.bytes.extend(field);
        self
    }

    fn raw(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend(bytes);
        self
    }

    fn padded(self, bytes: &[u8]) -> Self {
        let padding = bytes.len().next_multiple_of(4) - bytes.len();
        self.raw(bytes).raw(&vec![0; padding])
    }

    fn option(self, code: u16, value: &[u8]) -> Self {
        self.u16(code).u16(value.len() as u16).padded(value)
    }

    fn block(self, kind: u32, body: &Self) -> Self {
        let len = body.bytes.len() as u32 + 12;
        self.u32(kind).u32(len).raw(&body.bytes).u32(len)
    }

    fn section(self) -> Self {
        let body = Self::new(self.big).u32(0x1a2b_3c4d).u16(1).u16(0).u64(u64::MAX);
        self.block(0x0a0d_0d0a, &body)
    }

    fn interface(self, link_type: u16, snap_len: u32, options: &Self) -> Self {
        let body = Self::new(self.big).u16(link_type).u16(0).u32(snap_len).raw(&options.bytes);
        self.block(1, &body)
    }

    fn packet(self, interface: u32, units: u64, wire_len: u32, data: &[u8]) -> Self {
        let body = Self::new(self.big)
            .u32(interface)
            .u32((units >> 32) as u32)
            .u32(units as u32)
            .u32(data.len() as u32)
            .u32(wire_len)
            .padded(data);
        self.block(6, &body)
    }

    fn simple_packet(self, wire_len: u32, data: &[u8]) -> Self {
        let body = Self::new(self.big).u32(wire_len).padded(data);
        self.block(3, &body)
    }

    fn pcap(self, magic: u32, snap_len: u32, link_type: u32) -> Self {
        self.u32(magic).u16(2).u16(4).u32(0).u32(0).u32(snap_len).u32(link_type)
    }

    fn record(self, secs: u32, fraction: u32, wire_len: u32, data: &[u8]) -> Self {
        self.u32(secs).u32(fraction).u32(data.len() as u32).u32(wire_len).raw(data)
    }
}

fn pcap_of(frames: &[(u64, &[u8])]) -> Vec<u8> {
    let mut writer = CaptureWriter::pcap(Vec::new(), LinkType::ETHERNET).unwrap();
    for (nanos, data) in frames {
        writer.write_frame(CaptureInterfaceId(0), Timestamp::from_nanos(*nanos), data).unwrap();
    }
    writer.into_inner()
}

fn pcapng_of(frames: &[(u64, &[u8])]) -> Vec<u8> {
    let mut writer = CaptureWriter::pcapng(Vec::new()).unwrap();
    let interface = writer.add_interface("port1", LinkType::ETHERNET).unwrap();
    for (nanos, data) in frames {
        writer.write_frame(interface, Timestamp::from_nanos(*nanos), data).unwrap();
    }
    writer.into_inner()
}

fn seen(frames: &[(u64, &[u8])]) -> Vec<Seen> {
    let frames = frames.iter().zip(1..);
    frames.map(|((t, data), n)| (n, *t, 0, 1, data.len() as u32, data.to_vec())).collect()
}

const FRAMES: [(u64, &[u8]); 3] =
    [(T0, b"first"), (T0 + 1, b""), (T0 + 1_500_000_000, b"the third")];

#[test]
fn pcap_is_read_in_both_orders_and_units() {
    for big in [false, true] {
        for (magic, nanos) in [(0xa1b2_c3d4, 1000), (0xa1b2_3c4d, 1)] {
            let file = Bytes::new(big)
                .pcap(magic, 65_535, 101)
                .record(7, 999_999, 4, b"abcd")
                .record(u32::MAX, u32::MAX, 4, b"efgh");
            let last = u64::from(u32::MAX) * (1_000_000_000 + nanos);
            check(
                &file.bytes,
                &[
                    (1, 7_000_000_000 + 999_999 * nanos, 0, 101, 4, b"abcd".to_vec()),
                    (2, last, 0, 101, 4, b"efgh".to_vec()),
                ],
                None,
            );
        }
    }
}

#[test]
fn lengths_that_contradict_the_snap_length_are_read() {
    // Longer than the snap length, cut by it, and longer than what the wire is said to have had.
    let file = Bytes::new(false)
        .pcap(0xa1b2_c3d4, 4, 1)
        .record(0, 0, 9, b"nine byte")
        .record(0, 0, 1500, b"cut")
        .record(0, 0, 1, b"abc");
    check(
        &file.bytes,
        &[
            (1, 0, 0, 1, 9, b"nine byte".to_vec()),
            (2, 0, 0, 1, 1500, b"cut".to_vec()),
            (3, 0, 0, 1, 3, b"abc".to_vec()),
        ],
        None,
    );
}

#[test]
fn old_versions_put_the_wire_length_first() {
    for big in [false, true] {
        for (minor, first, second) in [(4, 3, 258), (3, 3, 258), (3, 258, 3), (2, 258, 3)] {
            let mut file = Bytes::new(big).u32(0xa1b2_c3d4).u16(2).u16(minor);
            file = file.u64(0).u32(65_535).u32(1);
            for _ in 0..2 {
                file = file.u64(0).u32(first).u32(second).raw(b"abc");
            }
            let frame = |number| (number, 0, 0, 1, 258, b"abc".to_vec());
            check(&file.bytes, &[frame(1), frame(2)], None);
            let cut = &file.bytes[..file.bytes.len() - 1];
            check(cut, &[frame(1)], Some(ReadCaptureError::Truncated { frame: 2 }));
        }
    }
}

#[test]
fn check_sequence_bits_are_no_link_type() {
    let file = Bytes::new(false).pcap(0xa1b2_c3d4, 64, 0x2400_0001).record(0, 0, 1, b"a");
    let capture = check(&file.bytes, &[(1, 0, 0, 1, 1, b"a".to_vec())], None);
    let interface = CaptureInterface {
        name: None,
        description: None,
        link_type: LinkType::ETHERNET,
        snap_len: 64,
    };
    assert_eq!(capture.interfaces(), [interface]);
}

#[test]
fn every_pcapng_frame_block_is_read_in_both_orders() {
    for big in [false, true] {
        let none = Bytes::new(big);
        let old_packet = Bytes::new(big).u16(0).u16(9).u32(1).u32(2).u32(3).u32(70).padded(b"old");
        let file = Bytes::new(big)
            .section()
            .block(0xbad, &Bytes::new(big).raw(b"skip"))
            .interface(1, 5, &none)
            .simple_packet(9, b"simpl")
            .packet(0, 3_000_001, 6, b"packet")
            .simple_packet(3, b"two")
            .block(2, &old_packet);
        let obsolete_time = ((1 << 32) + 2) * 1000;
        check(
            &file.bytes,
            &[
                (1, 0, 0, 1, 9, b"simpl".to_vec()),
                (2, 3_000_001_000, 0, 1, 6, b"packet".to_vec()),
                (3, 3_000_001_000, 0, 1, 3, b"two".to_vec()),
                (4, obsolete_time, 0, 1, 70, b"old".to_vec()),
            ],
            None,
        );
    }
}

#[test]
fn clocks_of_any_unit_become_nanoseconds() {
    let most = u64::MAX;
    for (resolution, offset, units, nanos) in [
        (6, 0i64, 5, 5000),
        (9, 0, 5, 5),
        (0, 0, 5, 5_000_000_000),
        (3, 10, 5, 10_005_000_000),
        (3, -1, 1500, 500_000_000),
        (3, -2, 1500, 0),
        (12, 0, 5999, 5),
        (0x80, 0, 3, 3_000_000_000),
        (0x8a, 0, 1536, 1_500_000_000),
        (0x9e, 0, 1 << 30, 1_000_000_000),
        (0xff, 0, most, 0),
        (127, 0, most, 0),
        (0, 0, most, most),
        (0, i64::MAX, most, most),
        (0, i64::MIN, most, most),
        (9, i64::MIN, most, 0),
    ] {
        let options = Bytes::new(true)
            .option(9, &[resolution])
            .option(14, &offset.to_be_bytes())
            .option(0, &[]);
        let file = Bytes::new(true).section().interface(1, 0, &options).packet(0, units, 1, b"x");
        let mut capture = open(&file.bytes).ok().unwrap();
        let time = capture.next_frame().unwrap().unwrap().time;
        assert_eq!(time.as_nanos(), nanos, "{resolution:#x} {offset} {units}");
    }
}

#[test]
fn interfaces_keep_their_names_over_sections_of_either_order() {
    let options = Bytes::new(false).option(1, b"\xff\xfe").option(2, b"eth\xff").option(3, b"LAN");
    let second = Bytes::new(true).option(2, b"eth1\0").option(0, &[]).raw(b"past the end");
    let file =
        Bytes::new(false).section().interface(1, 0, &options).packet(0, 1, 1, b"a").raw(
            &Bytes::new(true).section().interface(101, 96, &second).packet(0, 2, 1, b"b").bytes,
        );
    let capture = check(
        &file.bytes,
        &[(1, 1000, 0, 1, 1, b"a".to_vec()), (2, 2000, 1, 101, 1, b"b".to_vec())],
        None,
    );
    let expected = [
        CaptureInterface {
            name: Some("eth\u{fffd}".into()),
            description: Some("LAN".into()),
            link_type: LinkType::ETHERNET,
            snap_len: 0,
        },
        CaptureInterface {
            name: Some("eth1".into()),
            description: None,
            link_type: LinkType::RAW,
            snap_len: 96,
        },
    ];
    assert_eq!(capture.interfaces(), expected);
}

#[test]
fn a_damaged_pcapng_block_ends_the_capture_by_name() {
    let head = Bytes::new(false).section().interface(1, 0, &Bytes::default());
    let good = head.clone().packet(0, 1, 1, b"a");
    let frame = [(1, 1000, 0, 1, 1, b"a".to_vec())];
    let mut bad_trailer = good.clone().packet(0, 1, 1, b"b");
    *bad_trailer.bytes.last_mut().unwrap() = 1;
    let lying = Bytes::new(false).u32(0).u64(0).u32(5).u32(5).raw(b"four");
    let overrun = Bytes::new(false).u16(2).u16(9).raw(b"four");
    let unit = Bytes::new(false).option(9, b"ab");
    let magic = Bytes::new(false).u32(0x1234_5678).u64(0).u64(0);
    let version = Bytes::new(false).u32(0x1a2b_3c4d).u16(2).u16(0).u64(0);
    let huge = good.clone().u32(6).u32(0x7fff_fff0).raw(&[0; 64]);
    let fault = |fault| ReadCaptureError::MalformedBlock { frame: 2, fault };
    for (file, end) in [
        (good.clone().u32(6).u32(13).u32(0), fault(BlockFault::Frame)),
        (good.clone().u32(6).u32(8).u32(0), fault(BlockFault::Frame)),
        (bad_trailer, fault(BlockFault::Frame)),
        (good.clone().block(6, &lying), fault(BlockFault::CapturedLength)),
        (good.clone().simple_packet(9, b"nine"), fault(BlockFault::CapturedLength)),
        (good.clone().block(6, &Bytes::default()), fault(BlockFault::Short)),
        (good.clone().interface(1, 0, &overrun), fault(BlockFault::Options)),
        (good.clone().interface(1, 0, &unit), fault(BlockFault::Options)),
        (good.clone().block(0x0a0d_0d0a, &magic), fault(BlockFault::ByteOrder)),
        (good.clone().block(0x0a0d_0d0a, &version), fault(BlockFault::Version)),
        (
            good.clone().packet(1, 0, 1, b"a"),
            ReadCaptureError::UnknownInterface { frame: 2, interface: 1 },
        ),
        (
            good.clone().section().simple_packet(1, b"a"),
            ReadCaptureError::UnknownInterface { frame: 2, interface: 0 },
        ),
        (huge, ReadCaptureError::BlockTooLong { frame: 2, bytes: 0x7fff_fff0, limit: 327_744 }),
    ] {
        check(&file.bytes, &frame, Some(end));
    }
    check_refused(
        &Bytes::new(false).block(0x0a0d_0d0a, &magic).bytes,
        OpenCaptureError::Malformed(BlockFault::ByteOrder),
    );
}

#[test]
fn a_block_nobody_reads_may_have_any_length() {
    let secrets = Bytes::new(false).raw(&vec![0x5a; 3_000_000]);
    let file = Bytes::new(false)
        .section()
        .interface(1, 0, &Bytes::default())
        .block(0x0a, &secrets)
        .packet(0, 1, 1, b"a");
    let capture = check(&file.bytes, &[(1, 1000, 0, 1, 1, b"a".to_vec())], None);
    assert_eq!(capture.interfaces().len(), 1);
}

#[test]
fn limits_end_a_capture_by_name() {
    let limits = CaptureLimits { max_frame_bytes: 8, max_interfaces: 1 };
    let head = Bytes::new(false).section().interface(1, 0, &Bytes::default());
    let too_long = ReadCaptureError::FrameTooLong { frame: 1, bytes: 9, limit: 8 };
    let pcap = Bytes::new(true).pcap(0xa1b2_c3d4, 65_535, 1);
    for (file, end) in [
        (pcap.clone().record(0, 0, 9, b"nine byte"), too_long),
        // The limit speaks before the missing bytes do.
        (pcap.clone().u64(0).u32(9).u32(9), too_long),
        (head.clone().packet(0, 0, 9, b"nine byte"), too_long),
        (head.clone().simple_packet(9, b"nine byte"), too_long),
        (
            head.interface(1, 0, &Bytes::default()),
            ReadCaptureError::TooManyInterfaces { frame: 1, limit: 1 },
        ),
    ] {
        let source = Cursor::new(file.bytes);
        let mut capture = Capture::open(source, "test", limits).ok().unwrap();
        assert_eq!(drain(&mut capture), (Vec::new(), Some(end)));
    }
}

#[test]
fn frames_longer_than_the_window_are_whole() {
    let long = vec![0xa5; 1_000_000];
    let limits = CaptureLimits { max_frame_bytes: 1_000_000, ..CaptureLimits::default() };
    let pcap = Bytes::new(false).pcap(0xa1b2_c3d4, 0, 1);
    let pcap = pcap.record(0, 0, 1_000_000, &long).record(0, 0, 1, b"x");
    let mut capture = Capture::open(Cursor::new(pcap.bytes), "test", limits).ok().unwrap();
    let expected = vec![(1, 0, 0, 1, 1_000_000, long), (2, 0, 0, 1, 1, b"x".to_vec())];
    assert_eq!(drain(&mut capture), (expected, None));
}

#[test]
fn what_is_no_capture_is_refused_by_name() {
    for (bytes, expected) in [
        (&b""[..], OpenCaptureError::Empty),
        (b"\xd4", OpenCaptureError::NotACapture),
        (b"PK\x03\x04 some archive that is no capture", OpenCaptureError::NotACapture),
        (b"\x34\xcd\xb2\xa1\x02\x00\x04\x00", OpenCaptureError::ModifiedPcap),
        (b"\xd4\xc3\xb2\xa1\x02\x00\x04\x00", OpenCaptureError::Truncated),
        (b"\x0a\x0d\x0d\x0a\x1c\x00\x00\x00", OpenCaptureError::Truncated),
        (b"\x1f\x8b", OpenCaptureError::Truncated),
        // A deflate block of the reserved type.
        (b"\x1f\x8b\x08\0\0\0\0\0\0\0\x07", OpenCaptureError::Decompress(Compression::Gzip)),
        (
            b"\xd4\xc3\xb2\xa1\x02\x00\x05\x00\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
            OpenCaptureError::Version { major: 2, minor: 5 },
        ),
    ] {
        check_refused(bytes, expected);
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstandard(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

fn lz4(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

type Compress = fn(&[u8]) -> Vec<u8>;

const COMPRESSIONS: [(Compression, Compress); 3] =
    [(Compression::Gzip, gzip), (Compression::Zstd, zstandard), (Compression::Lz4, lz4)];

#[test]
fn compressed_captures_are_read_to_two_layers() {
    let plain = pcapng_of(&FRAMES);
    for (outer, compress_outer) in COMPRESSIONS {
        let once = check(&compress_outer(&plain), &seen(&FRAMES), None);
        assert_eq!(once.compression(), Some(outer));
        for (_, compress_inner) in COMPRESSIONS {
            let twice = compress_outer(&compress_inner(&plain));
            assert_eq!(check(&twice, &seen(&FRAMES), None).compression(), Some(outer));
        }
        let thrice = gzip(&zstandard(&compress_outer(&plain)));
        check_refused(&thrice, OpenCaptureError::NestedCompression);
        let (head, tail) = plain.split_at(plain.len() / 2);
        let members = [compress_outer(head), compress_outer(tail)].concat();
        check(&members, &seen(&FRAMES), None);
    }
}

#[test]
fn damaged_compressed_data_is_named() {
    for (compression, compress) in COMPRESSIONS {
        let mut packed = compress(&pcap_of(&FRAMES));
        packed.extend(b"neither a member nor a frame");
        let damage = ReadCaptureError::Decompress { frame: 4, compression };
        check(&packed, &seen(&FRAMES), Some(damage));
    }
    let mut packed = gzip(&pcap_of(&FRAMES));
    let checksum = packed.len() - 8;
    packed[checksum] ^= 1;
    let damage = ReadCaptureError::Decompress { frame: 4, compression: Compression::Gzip };
    check(&packed, &seen(&FRAMES), Some(damage));
}

/// Cut at every byte, a capture gives every frame that lies whole before the cut, then says so.
#[test]
fn every_cut_keeps_the_frames_before_it() {
    let secrets = Bytes::new(false).raw(b"keys");
    let mixed = Bytes::new(false)
        .section()
        .interface(1, 0, &Bytes::default())
        .block(0x0a, &secrets)
        .packet(0, 1, 5, b"first")
        .simple_packet(3, b"two");
    for whole in [pcap_of(&FRAMES), pcapng_of(&FRAMES), mixed.bytes] {
        let (all, end) = drain(&mut open(&whole).ok().unwrap());
        assert_eq!(end, None);
        let mut clean_ends = 0;
        for cut in 0..whole.len() {
            let mut capture = match open(&whole[..cut]) {
                Ok(capture) => capture,
                Err(error) => {
                    let expected = match cut {
                        0 => OpenCaptureError::Empty,
                        1..4 => OpenCaptureError::NotACapture,
                        _ => OpenCaptureError::Truncated,
                    };
                    assert_eq!(error, expected, "cut at {cut}");
                    continue;
                }
            };
            let (frames, end) = drain(&mut capture);
            assert_eq!(frames, all[..frames.len()], "cut at {cut}");
            let frame = frames.len() as u64 + 1;
            match end {
                Some(end) => assert_eq!(end, ReadCaptureError::Truncated { frame }),
                None => clean_ends += 1,
            }
        }
        // Only a cut between two records leaves a file that is whole in itself.
        assert!(clean_ends >= all.len() && clean_ends <= all.len() + 2, "{clean_ends}");
    }
}

#[test]
fn every_cut_of_a_compressed_capture_is_noticed() {
    let plain = pcap_of(&FRAMES);
    for (compression, compress) in COMPRESSIONS {
        let packed = compress(&plain);
        for cut in 1..packed.len() {
            match open(&packed[..cut]) {
                Ok(mut capture) => {
                    let (frames, end) = drain(&mut capture);
                    assert_eq!(frames, seen(&FRAMES)[..frames.len()]);
                    let frame = frames.len() as u64 + 1;
                    let expected = Some(ReadCaptureError::Truncated { frame });
                    assert_eq!(end, expected, "{compression} cut at {cut}");
                }
                Err(error) => assert!(
                    matches!(error, OpenCaptureError::Truncated | OpenCaptureError::NotACapture),
                    "{compression} cut at {cut}: {error}"
                ),
            }
        }
    }
}

/// A source that gives one byte at a time, is interrupted between them and fails at the end.
struct Dripping {
    bytes: Vec<u8>,
    at: usize,
    interrupted: bool,
    end: Option<io::ErrorKind>,
}

impl Read for Dripping {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        self.interrupted = !self.interrupted;
        if self.interrupted {
            return Err(io::ErrorKind::Interrupted.into());
        }
        match (self.bytes.get(self.at), room.first_mut(), self.end) {
            (Some(byte), Some(place), _) => {
                *place = *byte;
                self.at += 1;
                Ok(1)
            }
            (None, _, Some(kind)) => Err(kind.into()),
            _ => Ok(0),
        }
    }
}

#[test]
fn a_slow_or_failing_source_is_read_as_far_as_it_goes() {
    for (bytes, end) in [(pcap_of(&FRAMES), None), (pcapng_of(&FRAMES), None)]
        .into_iter()
        .chain([(pcap_of(&FRAMES), Some(io::ErrorKind::TimedOut))])
        .chain([(gzip(&pcapng_of(&FRAMES)), Some(io::ErrorKind::TimedOut))])
    {
        let source = Dripping { bytes, at: 0, interrupted: false, end };
        let mut capture = Capture::open(source, "test", CaptureLimits::default()).ok().unwrap();
        let end = end.map(|kind| ReadCaptureError::Io { frame: 4, kind });
        assert_eq!(drain(&mut capture), (seen(&FRAMES), end));
    }
}

/// Every frame of a merge as file, clock and number; and how often the clock was held.
#[track_caller]
fn check_merge(files: &[Vec<u8>], expected: &[(u32, u64, u64)], held: u64, bad: &[u32]) {
    let captures = files.iter().map(|bytes| open(bytes).ok().unwrap()).collect();
    let mut merged = MergedCaptures::new(captures);
    let (mut got, mut failed) = (Vec::new(), Vec::new());
    loop {
        match merged.next_frame() {
            Ok(Some(next)) => got.push((next.file.0, next.clock.as_nanos(), next.frame.number)),
            Ok(None) => break,
            Err(error) => failed.push(error.file.0),
        }
    }
    assert_eq!((got.as_slice(), merged.clock_held(), failed.as_slice()), (expected, held, bad));
    assert_eq!(merged.captures().len(), files.len());
    assert!(merged.capture(CaptureFileId(files.len() as u32)).is_none());
}

#[test]
fn every_frame_of_a_merge_names_its_interface_from_the_first_on() {
    let named = pcapng_of(&[(1, b"a"), (3, b"b")]);
    let plain = pcap_of(&[(2, b"c")]);
    let captures = [named, plain].map(|bytes| open(&bytes).ok().unwrap());
    let mut merged = MergedCaptures::new(captures.into());
    let mut names = Vec::new();
    while let Some(next) = merged.next_frame().unwrap() {
        names.push(next.interface_name.map(str::to_owned));
    }
    assert_eq!(names, [Some("port1".to_owned()), None, Some("port1".to_owned())]);
}

#[test]
fn merged_captures_are_in_order_of_time_then_file() {
    let first = pcap_of(&[(10, b"a"), (20, b"b"), (20, b"c")]);
    let second = pcapng_of(&[(5, b"d"), (20, b"e"), (30, b"f")]);
    let expected = [(1, 5, 1), (0, 10, 1), (0, 20, 2), (0, 20, 3), (1, 20, 2), (1, 30, 3)];
    check_merge(&[first, second], &expected, 0, &[]);
    check_merge(&[], &[], 0, &[]);
}

#[test]
fn a_clock_running_backwards_is_held_and_counted() {
    let backwards = pcap_of(&[(10, b"a"), (4, b"b"), (9, b"c"), (11, b"d")]);
    let other = pcap_of(&[(7, b"e"), (10, b"f")]);
    let expected = [(1, 7, 1), (0, 10, 1), (0, 10, 2), (0, 10, 3), (1, 10, 2), (0, 11, 4)];
    check_merge(&[backwards, other], &expected, 2, &[]);
}

#[test]
fn a_merge_goes_on_without_the_file_that_ends_early() {
    let mut cut = pcap_of(&[(1, b"a"), (5, b"b")]);
    cut.pop();
    let whole = pcap_of(&[(2, b"c"), (6, b"d")]);
    check_merge(&[cut, whole], &[(0, 1, 1), (1, 2, 1), (1, 6, 2)], 0, &[0]);
}

#[test]
fn what_cannot_be_written_is_refused_by_name() {
    let mut pcap = CaptureWriter::pcap(Vec::new(), LinkType::RAW).unwrap();
    let mut pcapng = CaptureWriter::pcapng(Vec::new()).unwrap();
    let (none, late) = (CaptureInterfaceId(0), Timestamp::from_nanos(u64::MAX));
    let long = vec![0; 262_145];
    assert_eq!(pcap.add_interface("eth0", LinkType::RAW), Err(WriteCaptureError::SingleInterface));
    assert_eq!(pcap.write_frame(none, late, b"a"), Err(WriteCaptureError::Time { time: late }));
    assert_eq!(
        pcap.write_frame(none, Timestamp::EPOCH, &long),
        Err(WriteCaptureError::FrameTooLong { bytes: 262_145 })
    );
    assert_eq!(
        pcapng.write_frame(none, late, b"a"),
        Err(WriteCaptureError::UnknownInterface { interface: none })
    );
    assert_eq!(
        pcapng.add_interface(&"x".repeat(65_536), LinkType::RAW),
        Err(WriteCaptureError::NameTooLong { bytes: 65_536 })
    );
}

#[test]
fn what_is_written_is_read_back() {
    check(&pcap_of(&FRAMES), &seen(&FRAMES), None);
    let capture = check(&pcapng_of(&FRAMES), &seen(&FRAMES), None);
    assert_eq!(capture.interfaces()[0].name.as_deref(), Some("port1"));
    let late: &[(u64, &[u8])] = &[(u64::MAX, b"2554")];
    check(&pcapng_of(late), &seen(late), None);
}
