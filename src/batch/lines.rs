//! Lines of an upload: cut into chunks of whole lines while it streams in, and a chunk taken apart again. A line's number is
//! that of the upload, blank lines included, so that people find it. Nothing here reads a ticket.

/// A chunk ends with the line that fills this many bytes, however few tickets it holds: it is in memory as a whole.
const CHUNK_BYTES: usize = 4 << 20;

/// A piece of an upload: whole lines, at least one of them not blank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// Its place among the chunks, from 0.
    pub number: i32,
    /// The number of its first line, from 1.
    pub first_line: i64,
    /// Lines that are not blank.
    pub tickets: i64,
    /// The lines.
    pub text: Vec<u8>,
}

/// Cuts an upload into chunks. It holds one chunk at a time.
#[derive(Debug)]
pub struct Splitter {
    tickets: i64,
    longest: usize,
    chunk: Chunk,
    line: i64,
    /// Where in the chunk the present line begins.
    begin: usize,
}

impl Splitter {
    /// Chunks of this many tickets; of a line longer than `longest` one byte more is kept, to tell that it is.
    pub fn new(tickets: u32, longest: usize) -> Self {
        let chunk = Chunk { number: 0, first_line: 1, tickets: 0, text: Vec::new() };
        Self { tickets: i64::from(tickets), longest, chunk, line: 1, begin: 0 }
    }

    /// Takes the next bytes and hands out the chunks that they complete.
    pub fn push(&mut self, mut bytes: &[u8]) -> Vec<Chunk> {
        let mut full = Vec::new();
        while !bytes.is_empty() {
            let end = bytes.iter().position(|b| *b == b'\n');
            let (piece, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
            let room = (self.longest + 1).saturating_sub(self.chunk.text.len() - self.begin);
            self.chunk.text.extend_from_slice(&piece[..piece.len().min(room)]);
            bytes = rest;
            if end.is_some() {
                bytes = &bytes[1..];
                full.extend(self.end_line());
            }
        }
        full
    }

    /// The last chunk, unless nothing is left.
    pub fn finish(mut self) -> Option<Chunk> {
        if self.chunk.text.len() > self.begin
            && let Some(last) = self.end_line()
        {
            return Some(last);
        }
        (self.chunk.tickets > 0).then_some(self.chunk)
    }

    fn end_line(&mut self) -> Option<Chunk> {
        if !blank(&self.chunk.text[self.begin..]) {
            self.chunk.tickets += 1;
        }
        self.chunk.text.push(b'\n');
        self.begin = self.chunk.text.len();
        self.line += 1;
        if self.chunk.tickets < self.tickets && self.begin < CHUNK_BYTES {
            return None;
        }
        self.begin = 0;
        let next = |number| Chunk { number, first_line: self.line, tickets: 0, text: Vec::new() };
        if self.chunk.tickets == 0 {
            self.chunk = next(self.chunk.number);
            return None;
        }
        let next = next(self.chunk.number + 1);
        Some(std::mem::replace(&mut self.chunk, next))
    }
}

/// The tickets of a chunk with the numbers of their lines.
pub(super) fn tickets(first_line: i64, text: &[u8]) -> impl Iterator<Item = (i64, &[u8])> {
    let lines = (first_line..).zip(text.split(|b| *b == b'\n'));
    lines.map(|(number, line)| (number, line.strip_suffix(b"\r").unwrap_or(line))).filter(|(_, line)| !blank(line))
}

fn blank(line: &[u8]) -> bool {
    line.trim_ascii().is_empty()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn chunks(text: &[u8], tickets: u32, longest: usize, step: usize) -> Vec<Chunk> {
        let mut splitter = Splitter::new(tickets, longest);
        let mut all: Vec<Chunk> = text.chunks(step).flat_map(|piece| splitter.push(piece)).collect();
        all.extend(splitter.finish());
        all
    }

    fn read(chunks: &[Chunk]) -> Vec<(i64, Vec<u8>)> {
        chunks.iter().flat_map(|c| tickets(c.first_line, &c.text)).map(|(n, line)| (n, line.to_vec())).collect()
    }

    #[test]
    fn blank_lines_count_and_are_not_kept_as_tickets() {
        let cut = chunks(b"a\n\n \nb\r\nc", 2, 10, 3);
        assert_eq!(cut.iter().map(|c| (c.number, c.first_line, c.tickets)).collect::<Vec<_>>(), [(0, 1, 2), (1, 5, 1)]);
        assert_eq!(read(&cut), [(1, b"a".to_vec()), (4, b"b".to_vec()), (5, b"c".to_vec())]);
        assert!(chunks(b"\n\n  \n", 2, 10, 1).is_empty());
        assert!(chunks(b"", 2, 10, 1).is_empty());
    }

    #[test]
    fn a_line_that_is_too_long_is_cut_and_told() {
        let cut = chunks(b"0123456789abcdef\nb\n", 10, 10, 4);
        let lines = read(&cut);
        assert_eq!(lines[0], (1, b"0123456789a".to_vec()));
        assert_eq!(lines[1], (2, b"b".to_vec()));
    }

    #[test]
    fn a_flood_of_blank_lines_is_not_held() {
        let mut splitter = Splitter::new(10, 10);
        for _ in 0..30 {
            assert!(splitter.push(&vec![b'\n'; 1 << 20]).is_empty());
            assert!(splitter.chunk.text.len() <= CHUNK_BYTES);
        }
        splitter.push(b"a");
        assert_eq!(read(&[splitter.finish().unwrap()]), [((30 << 20) + 1, b"a".to_vec())]);
    }

    proptest! {
        #[test]
        fn however_it_streams_in_every_line_keeps_its_number(
            text in "[a\n\r ]{0,200}", tickets in 1u32..5, step in 1usize..20,
        ) {
            let expected: Vec<(i64, Vec<u8>)> = (1..)
                .zip(text.split('\n'))
                .filter(|(_, line)| !line.trim_ascii().is_empty())
                .map(|(n, line)| (n, line.strip_suffix('\r').unwrap_or(line).as_bytes().to_vec()))
                .collect();
            let cut = chunks(text.as_bytes(), tickets, 1_000, step);
            prop_assert_eq!(read(&cut), expected);
            for (n, chunk) in (0..).zip(&cut) {
                prop_assert_eq!(chunk.number, n);
                prop_assert!((1..=i64::from(tickets)).contains(&chunk.tickets));
            }
        }
    }
}
