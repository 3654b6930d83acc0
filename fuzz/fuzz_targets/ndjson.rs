//! Any bytes as an upload of lines: cut into chunks in one go or in pieces, the chunks are the same, hold every line that is
//! not blank, in order and under its number, and no line longer than its limit and a byte.
#![no_main]

use libfuzzer_sys::fuzz_target;
use praetor::batch::{Chunk, Splitter};
use praetor::case::Case;

const LONGEST: usize = 64;

fn cut(upload: &[u8], tickets: u32, step: usize) -> Vec<Chunk> {
    let mut splitter = Splitter::new(tickets, LONGEST);
    let mut chunks: Vec<Chunk> = upload.chunks(step).flat_map(|piece| splitter.push(piece)).collect();
    chunks.extend(splitter.finish());
    chunks
}

fn blank(line: &[u8]) -> bool {
    line.trim_ascii().is_empty()
}

fuzz_target!(|input: (u8, u8, &[u8])| {
    let (tickets, step, upload) = (u32::from(input.0 % 7) + 1, usize::from(input.1) + 1, input.2);
    let chunks = cut(upload, tickets, upload.len().max(1));
    assert_eq!(chunks, cut(upload, tickets, step));
    let mut found = Vec::new();
    for (number, chunk) in chunks.iter().enumerate() {
        assert_eq!(usize::try_from(chunk.number), Ok(number));
        let lines: Vec<&[u8]> = chunk.text.split(|b| *b == b'\n').collect();
        let full = lines.iter().filter(|line| !blank(line)).count();
        assert!(full > 0 && full as i64 == chunk.tickets && chunk.tickets <= i64::from(tickets));
        for (place, line) in (chunk.first_line..).zip(lines) {
            assert!(line.len() <= LONGEST + 1);
            if !blank(line) {
                let _ = Case::parse(line);
                found.push((place, line.to_vec()));
            }
        }
    }
    let shortened = |line: &[u8]| line[..line.len().min(LONGEST + 1)].to_vec();
    let lines = (1_i64..).zip(upload.split(|b| *b == b'\n')).map(|(place, line)| (place, shortened(line)));
    assert_eq!(found, lines.filter(|(_, line)| !blank(line)).collect::<Vec<_>>());
});
