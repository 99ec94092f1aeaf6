;; The codec's hot loops: LZ4 blocks, strictly, and CRC-64/ISO, alone and together over whole page
;; frames; the sums of pages; and page indexes. What they do is what lz4-block.ts, checksum.ts, page-sum.ts and
;; page-index.ts do, which are the fallback and, in the tests, the judge of this.
;;
;; Nothing comes in but through the one memory, and it never grows. Its layout:
;;      0 ..   8191   the encoder's hash table: 4,096 places of two bytes
;;   8192 ..   8199   the CRC's register
;;   8200 ..   8219   of a page index: the last page number, at 8208 where the next frame begins, at 8216 bytes read
;;   8448 ..  74559   what is read: a page to encode, a frame to decode (at most 65,819 bytes)
;;  74560 .. 140799   what is written: a frame (at most 65,819 bytes), a page, or entries of an index
;; 140800 .. 206383   the key of page sums: 16 bytes, and 32 more than a page has
;; Copies are done 16 bytes at a time and may write beyond what was asked for; behind each of the two areas
;; there is room for that. The decoder checks every length against the areas' real ends before it copies, so no
;; input, however damaged, reaches beyond them.
(module
  (memory (export "memory") 4 4)

  ;; ---- CRC-64/ISO -----------------------------------------------------------------------------------

  ;; u * x^64, reduced. With the register reflected, a shift to the right multiplies, and what
  ;; leaves on the right comes back times x^4 + x^3 + x + 1.
  (func $fold (param $u i64) (result i64)
    (local.set $u
      (i64.xor
        (i64.xor (local.get $u) (i64.shl (local.get $u) (i64.const 63)))
        (i64.xor (i64.shl (local.get $u) (i64.const 61)) (i64.shl (local.get $u) (i64.const 60)))))
    (i64.xor
      (i64.xor (local.get $u) (i64.shr_u (local.get $u) (i64.const 1)))
      (i64.xor (i64.shr_u (local.get $u) (i64.const 3)) (i64.shr_u (local.get $u) (i64.const 4)))))

  ;; u * x^256, reduced, two words at a time: x^256 is x^16 + x^12 + x^4 + 1.
  (func $leap (param $u v128) (result v128)
    (local $over v128)
    (local.set $over
      (v128.xor
        (i64x2.shl (local.get $u) (i32.const 60))
        (v128.xor (i64x2.shl (local.get $u) (i32.const 52)) (i64x2.shl (local.get $u) (i32.const 48)))))
    (local.set $u
      (v128.xor
        (v128.xor (local.get $u) (i64x2.shr_u (local.get $u) (i32.const 4)))
        (v128.xor (i64x2.shr_u (local.get $u) (i32.const 12)) (i64x2.shr_u (local.get $u) (i32.const 16)))))
    (v128.xor
      (v128.xor (local.get $u) (local.get $over))
      (v128.xor
        (i64x2.shr_u (local.get $over) (i32.const 1))
        (v128.xor (i64x2.shr_u (local.get $over) (i32.const 3)) (i64x2.shr_u (local.get $over) (i32.const 4))))))

  ;; Goes on with `length` bytes at `from`. Four words side by side, each of which leaps over the three others, are
  ;; several times as fast as one after the other; at the end they are folded into one.
  (func $crc (export "crc") (param $from i32) (param $length i32)
    (local $end i32)
    (local $register i64)
    (local $u i64)
    (local $first v128)
    (local $second v128)
    (local.set $end (i32.add (local.get $from) (local.get $length)))
    (local.set $register (i64.load (i32.const 8192)))
    (if (i32.ge_u (local.get $length) (i32.const 64)) (then
      (local.set $first
        (v128.xor
          (v128.load (local.get $from))
          (i64x2.replace_lane 0 (v128.const i64x2 0 0) (local.get $register))))
      (local.set $second (v128.load offset=16 (local.get $from)))
      (local.set $from (i32.add (local.get $from) (i32.const 32)))
      (loop $next
        (local.set $first (v128.xor (call $leap (local.get $first)) (v128.load (local.get $from))))
        (local.set $second (v128.xor (call $leap (local.get $second)) (v128.load offset=16 (local.get $from))))
        (local.set $from (i32.add (local.get $from) (i32.const 32)))
        (br_if $next (i32.le_u (i32.add (local.get $from) (i32.const 32)) (local.get $end))))
      (local.set $register (call $fold (i64x2.extract_lane 0 (local.get $first))))
      (local.set $register
        (call $fold (i64.xor (local.get $register) (i64x2.extract_lane 1 (local.get $first)))))
      (local.set $register
        (call $fold (i64.xor (local.get $register) (i64x2.extract_lane 0 (local.get $second)))))
      (local.set $register
        (call $fold (i64.xor (local.get $register) (i64x2.extract_lane 1 (local.get $second)))))))
    (block $wordsDone (loop $word
      (br_if $wordsDone (i32.gt_u (i32.add (local.get $from) (i32.const 8)) (local.get $end)))
      (local.set $register (call $fold (i64.xor (local.get $register) (i64.load (local.get $from)))))
      (local.set $from (i32.add (local.get $from) (i32.const 8)))
      (br $word)))
    (block $bytesDone (loop $byte
      (br_if $bytesDone (i32.ge_u (local.get $from) (local.get $end)))
      (local.set $u
        (i64.shl (i64.xor (local.get $register) (i64.load8_u (local.get $from))) (i64.const 56)))
      (local.set $register
        (i64.xor
          (i64.xor (i64.shr_u (local.get $register) (i64.const 8)) (local.get $u))
          (i64.xor
            (i64.shr_u (local.get $u) (i64.const 1))
            (i64.xor (i64.shr_u (local.get $u) (i64.const 3)) (i64.shr_u (local.get $u) (i64.const 4))))))
      (local.set $from (i32.add (local.get $from) (i32.const 1)))
      (br $byte)))
    (i64.store (i32.const 8192) (local.get $register)))

  ;; ---- LZ4, encoding ------------------------------------------------------------------------------------

  ;; Where in the hash table a sequence of four bytes has its place.
  (func $place (param $sequence i32) (result i32)
    (i32.shl
      (i32.shr_u (i32.mul (local.get $sequence) (i32.const 0x9E3779B1)) (i32.const 20))
      (i32.const 1)))

  ;; Writes what is left of a length whose first 15 are in the token; returns the place behind it.
  (func $writeLength (param $to i32) (param $rest i32) (result i32)
    (block $done (loop $next
      (br_if $done (i32.lt_u (local.get $rest) (i32.const 255)))
      (i32.store8 (local.get $to) (i32.const 255))
      (local.set $to (i32.add (local.get $to) (i32.const 1)))
      (local.set $rest (i32.sub (local.get $rest) (i32.const 255)))
      (br $next)))
    (i32.store8 (local.get $to) (local.get $rest))
    (i32.add (local.get $to) (i32.const 1)))

  ;; Writes a token with its literals; the match length is still to be put into the token. Returns the
  ;; place behind the literals.
  (func $writeLiterals (param $token i32) (param $from i32) (param $count i32) (result i32)
    (local $to i32)
    (local.set $to (i32.add (local.get $token) (i32.const 1)))
    (if (i32.lt_u (local.get $count) (i32.const 15))
      (then (i32.store8 (local.get $token) (i32.shl (local.get $count) (i32.const 4))))
      (else
        (i32.store8 (local.get $token) (i32.const 0xf0))
        (local.set $to (call $writeLength (local.get $to) (i32.sub (local.get $count) (i32.const 15))))))
    (if (i32.le_u (local.get $count) (i32.const 32))
      (then
        (v128.store (local.get $to) (v128.load (local.get $from)))
        (v128.store offset=16 (local.get $to) (v128.load offset=16 (local.get $from))))
      (else (memory.copy (local.get $to) (local.get $from) (local.get $count))))
    (i32.add (local.get $to) (local.get $count)))

  ;; Where the bytes from `at` on stop to be those at `match` and behind; `limit` at the latest.
  (func $extend (param $at i32) (param $match i32) (param $limit i32) (result i32)
    (local $differing i64)
    (block $tail (loop $words
      (br_if $tail (i32.gt_u (i32.add (local.get $at) (i32.const 8)) (local.get $limit)))
      (local.set $differing (i64.xor (i64.load (local.get $at)) (i64.load (local.get $match))))
      (if (i64.ne (local.get $differing) (i64.const 0)) (then
        (return (i32.add
          (local.get $at)
          (i32.wrap_i64 (i64.shr_u (i64.ctz (local.get $differing)) (i64.const 3)))))))
      (local.set $at (i32.add (local.get $at) (i32.const 8)))
      (local.set $match (i32.add (local.get $match) (i32.const 8)))
      (br $words)))
    (block $done (loop $bytes
      (br_if $done (i32.ge_u (local.get $at) (local.get $limit)))
      (br_if $done (i32.ne (i32.load8_u (local.get $at)) (i32.load8_u (local.get $match))))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (local.set $match (i32.add (local.get $match) (i32.const 1)))
      (br $bytes)))
    (local.get $at))

  ;; Encodes `size` bytes, at most 65,536, at `from` as one block at `to`; returns the place behind it.
  (func $encode (param $from i32) (param $size i32) (param $to i32) (result i32)
    (local $matchStartEnd i32)
    (local $matchEnd i32)
    (local $anchor i32)
    (local $at i32)
    (local $sequence i32)
    (local $slot i32)
    (local $match i32)
    (local $end i32)
    (local $misses i32)
    (local $token i32)
    (local $length i32)
    (local.set $anchor (local.get $from))
    ;; A block's last match starts twelve bytes before its end or sooner, and its last five bytes are literals.
    (if (i32.gt_u (local.get $size) (i32.const 12)) (then
      (local.set $matchStartEnd (i32.add (local.get $from) (i32.sub (local.get $size) (i32.const 12))))
      (local.set $matchEnd (i32.add (local.get $from) (i32.sub (local.get $size) (i32.const 5))))
      (local.set $at (i32.add (local.get $from) (i32.const 1)))
      (local.set $misses (i32.const 64))
      (memory.fill (i32.const 0) (i32.const 0) (i32.const 8192))
      (block $done (loop $next
        (br_if $done (i32.gt_u (local.get $at) (local.get $matchStartEnd)))
        (local.set $sequence (i32.load (local.get $at)))
        (local.set $slot (call $place (local.get $sequence)))
        (local.set $match (i32.add (local.get $from) (i32.load16_u (local.get $slot))))
        (i32.store16 (local.get $slot) (i32.sub (local.get $at) (local.get $from)))
        (if (i32.ne (i32.load (local.get $match)) (local.get $sequence)) (then
          ;; Bounded: each pass moves on by at least one byte, and by more where nothing compresses.
          (local.set $at (i32.add (local.get $at) (i32.shr_u (local.get $misses) (i32.const 6))))
          (local.set $misses (i32.add (local.get $misses) (i32.const 1)))
          (br $next)))
        (local.set $misses (i32.const 64))
        (local.set $end
          (call $extend
            (i32.add (local.get $at) (i32.const 4))
            (i32.add (local.get $match) (i32.const 4))
            (local.get $matchEnd)))
        (block $begun (loop $back
          (br_if $begun (i32.le_u (local.get $at) (local.get $anchor)))
          (br_if $begun (i32.le_u (local.get $match) (local.get $from)))
          (br_if $begun (i32.ne
            (i32.load8_u (i32.sub (local.get $at) (i32.const 1)))
            (i32.load8_u (i32.sub (local.get $match) (i32.const 1)))))
          (local.set $at (i32.sub (local.get $at) (i32.const 1)))
          (local.set $match (i32.sub (local.get $match) (i32.const 1)))
          (br $back)))
        (local.set $token (local.get $to))
        (local.set $to
          (call $writeLiterals
            (local.get $token) (local.get $anchor) (i32.sub (local.get $at) (local.get $anchor))))
        (i32.store16 (local.get $to) (i32.sub (local.get $at) (local.get $match)))
        (local.set $to (i32.add (local.get $to) (i32.const 2)))
        (local.set $length (i32.sub (i32.sub (local.get $end) (local.get $at)) (i32.const 4)))
        (if (i32.lt_u (local.get $length) (i32.const 15))
          (then
            (i32.store8 (local.get $token) (i32.or (i32.load8_u (local.get $token)) (local.get $length))))
          (else
            (i32.store8 (local.get $token) (i32.or (i32.load8_u (local.get $token)) (i32.const 15)))
            (local.set $to
              (call $writeLength (local.get $to) (i32.sub (local.get $length) (i32.const 15))))))
        (local.set $anchor (local.get $end))
        (local.set $at (local.get $end))
        (br_if $done (i32.gt_u (local.get $at) (local.get $matchStartEnd)))
        (i32.store16
          (call $place (i32.load (i32.sub (local.get $at) (i32.const 2))))
          (i32.sub (i32.sub (local.get $at) (i32.const 2)) (local.get $from)))
        (br $next)))))
    (call $writeLiterals
      (local.get $to)
      (local.get $anchor)
      (i32.sub (i32.add (local.get $from) (local.get $size)) (local.get $anchor))))

  ;; ---- LZ4, decoding ------------------------------------------------------------------------------------

  ;; Decodes the block of `size` bytes at `from` into `room` bytes at `to`. Returns how many it held, or why it
  ;; is damaged: -1 it ends too early, -2 it holds more, -3 a distance is 0, -4 a match reaches back too far.
  (func $decode (param $from i32) (param $size i32) (param $to i32) (param $room i32) (result i32)
    (local $start i32)
    (local $blockEnd i32)
    (local $roomEnd i32)
    (local $token i32)
    (local $length i32)
    (local $more i32)
    (local $distance i32)
    (local $match i32)
    (local $end i32)
    (local.set $start (local.get $to))
    (local.set $blockEnd (i32.add (local.get $from) (local.get $size)))
    (local.set $roomEnd (i32.add (local.get $to) (local.get $room)))
    (block $early
      ;; Bounded: every pass reads a token.
      (loop $sequence
        (br_if $early (i32.ge_u (local.get $from) (local.get $blockEnd)))
        (local.set $token (i32.load8_u (local.get $from)))
        (local.set $from (i32.add (local.get $from) (i32.const 1)))
        (local.set $length (i32.shr_u (local.get $token) (i32.const 4)))
        (if (i32.eq (local.get $length) (i32.const 15)) (then (loop $literals
          (br_if $early (i32.ge_u (local.get $from) (local.get $blockEnd)))
          (local.set $more (i32.load8_u (local.get $from)))
          (local.set $from (i32.add (local.get $from) (i32.const 1)))
          (local.set $length (i32.add (local.get $length) (local.get $more)))
          (br_if $literals (i32.eq (local.get $more) (i32.const 255))))))
        (br_if $early (i32.gt_u (i32.add (local.get $from) (local.get $length)) (local.get $blockEnd)))
        (if (i32.gt_u (i32.add (local.get $to) (local.get $length)) (local.get $roomEnd))
          (then (return (i32.const -2))))
        (if (i32.le_u (local.get $length) (i32.const 32))
          (then
            (v128.store (local.get $to) (v128.load (local.get $from)))
            (v128.store offset=16 (local.get $to) (v128.load offset=16 (local.get $from))))
          (else (memory.copy (local.get $to) (local.get $from) (local.get $length))))
        (local.set $from (i32.add (local.get $from) (local.get $length)))
        (local.set $to (i32.add (local.get $to) (local.get $length)))
        (if (i32.eq (local.get $from) (local.get $blockEnd))
          (then (return (i32.sub (local.get $to) (local.get $start)))))
        (br_if $early (i32.gt_u (i32.add (local.get $from) (i32.const 2)) (local.get $blockEnd)))
        (local.set $distance (i32.load16_u (local.get $from)))
        (local.set $from (i32.add (local.get $from) (i32.const 2)))
        (if (i32.eqz (local.get $distance)) (then (return (i32.const -3))))
        (local.set $match (i32.sub (local.get $to) (local.get $distance)))
        (if (i32.lt_u (local.get $match) (local.get $start)) (then (return (i32.const -4))))
        (local.set $length (i32.and (local.get $token) (i32.const 15)))
        (if (i32.eq (local.get $length) (i32.const 15)) (then (loop $matched
          (br_if $early (i32.ge_u (local.get $from) (local.get $blockEnd)))
          (local.set $more (i32.load8_u (local.get $from)))
          (local.set $from (i32.add (local.get $from) (i32.const 1)))
          (local.set $length (i32.add (local.get $length) (local.get $more)))
          (br_if $matched (i32.eq (local.get $more) (i32.const 255))))))
        (local.set $end (i32.add (i32.add (local.get $to) (local.get $length)) (i32.const 4)))
        (if (i32.gt_u (local.get $end) (local.get $roomEnd)) (then (return (i32.const -2))))
        (if (i32.ge_u (local.get $distance) (i32.const 16))
          (then (loop $wide
            (v128.store (local.get $to) (v128.load (local.get $match)))
            (local.set $to (i32.add (local.get $to) (i32.const 16)))
            (local.set $match (i32.add (local.get $match) (i32.const 16)))
            (br_if $wide (i32.lt_u (local.get $to) (local.get $end)))))
          (else (if (i32.eq (local.get $distance) (i32.const 1))
            (then
              (memory.fill
                (local.get $to)
                (i32.load8_u (local.get $match))
                (i32.sub (local.get $end) (local.get $to))))
            (else (if (i32.ge_u (local.get $distance) (i32.const 8))
              (then (loop $words
                (i64.store (local.get $to) (i64.load (local.get $match)))
                (local.set $to (i32.add (local.get $to) (i32.const 8)))
                (local.set $match (i32.add (local.get $match) (i32.const 8)))
                (br_if $words (i32.lt_u (local.get $to) (local.get $end)))))
              ;; Byte by byte, for the match overlaps what it writes.
              (else (loop $bytes
                (i32.store8 (local.get $to) (i32.load8_u (local.get $match)))
                (local.set $to (i32.add (local.get $to) (i32.const 1)))
                (local.set $match (i32.add (local.get $match) (i32.const 1)))
                (br_if $bytes (i32.lt_u (local.get $to) (local.get $end))))))))))
        (local.set $to (local.get $end))
        (br $sequence)))
    (i32.const -1))

  ;; ---- page frames --------------------------------------------------------------------------------------

  ;; Writes 32 bits, the highest byte first.
  (func $writeWord (param $to i32) (param $word i32)
    (i32.store
      (local.get $to)
      (i32.or
        (i32.rotl (i32.and (local.get $word) (i32.const 0x00ff00ff)) (i32.const 24))
        (i32.rotl (i32.and (local.get $word) (i32.const 0xff00ff00)) (i32.const 8)))))

  ;; Encodes the page of `size` bytes that was put in as a whole frame: page number, flags, the block's size, block. The
  ;; register goes on with the frame's first ten bytes and the page. Returns the frame's length.
  (func (export "encodeFrame") (param $pgno i32) (param $size i32) (result i32)
    (local $end i32)
    (local.set $end (call $encode (i32.const 8448) (local.get $size) (i32.const 74570)))
    (call $writeWord (i32.const 74560) (local.get $pgno))
    (i32.store16 (i32.const 74564) (i32.const 0x0100))
    (call $writeWord (i32.const 74566) (i32.sub (local.get $end) (i32.const 74570)))
    (call $crc (i32.const 74560) (i32.const 10))
    (call $crc (i32.const 8448) (local.get $size))
    (i32.sub (local.get $end) (i32.const 74560)))

  ;; Decodes the block in the frame of `length` bytes that was put in, into `room` bytes, as `$decode` does.
  (func (export "decodeFrame") (param $length i32) (param $room i32) (result i32)
    (call $decode
      (i32.const 8458) (i32.sub (local.get $length) (i32.const 10)) (i32.const 74560) (local.get $room)))

  ;; ---- page indexes -------------------------------------------------------------------------------------

  ;; Reads entries of an index, three varints each, out of the `length` bytes that were put in, and returns how
  ;; many: at most 4,096. It writes page numbers from 74560 on, the lower halves of offsets from 90944, sizes from 107328, 32 bits
  ;; each, and the upper halves of offsets, 16 bits each, from 123712.
  ;; It stops before what is no entry that follows the one before it: the terminator, an entry that does not end within
  ;; these bytes, a damaged one. Which of these it is, its caller finds out.
  (func (export "index") (param $length i32) (result i32)
    (local $at i32)
    (local $end i32)
    (local $entry i32)
    (local $count i32)
    (local $field i32)
    (local $byte i32)
    (local $value i64)
    (local $shift i64)
    (local $pgno i64)
    (local $offset i64)
    (local $slot i32)
    (local.set $at (i32.const 8448))
    (local.set $entry (local.get $at))
    (local.set $end (i32.add (local.get $at) (local.get $length)))
    (local.set $pgno (i64.load32_u (i32.const 8200)))
    (local.set $offset (i64.load (i32.const 8208)))
    (block $done (loop $bytes
      (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
      (local.set $byte (i32.load8_u (local.get $at)))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (local.set $value
        (i64.or
          (local.get $value)
          (i64.shl (i64.extend_i32_u (i32.and (local.get $byte) (i32.const 0x7f))) (local.get $shift))))
      (local.set $shift (i64.add (local.get $shift) (i64.const 7)))
      (if (i32.ge_u (local.get $byte) (i32.const 0x80)) (then
        ;; Eight bytes hold all that a varint may.
        (br_if $bytes (i64.lt_u (local.get $shift) (i64.const 56)))
        (br $done)))
      (br_if $done (i32.and (i32.eqz (local.get $byte)) (i64.gt_u (local.get $shift) (i64.const 7))))
      (br_if $done (i64.gt_u (local.get $value) (i64.const 0x1fffffffffffff)))
      (if (i32.eqz (local.get $field))
        (then
          ;; The terminator, 0, is no larger than any page number.
          (br_if $done (i64.le_u (local.get $value) (local.get $pgno)))
          (br_if $done (i64.gt_u (local.get $value) (i64.const 0xffffffff)))
          (i32.store
            (i32.add (i32.const 74560) (i32.shl (local.get $count) (i32.const 2)))
            (i32.wrap_i64 (local.get $value)))
          (local.set $field (i32.const 1)))
        (else (if (i32.eq (local.get $field) (i32.const 1))
          (then
            (br_if $done (i64.ne (local.get $value) (local.get $offset)))
            (br_if $done (i64.gt_u (local.get $value) (i64.const 0xffffffffffff)))
            (local.set $field (i32.const 2)))
          (else
            (br_if $done (i64.gt_u (local.get $value) (i64.const 0xffffffff)))
            (local.set $slot (i32.shl (local.get $count) (i32.const 2)))
            (local.set $pgno (i64.load32_u (i32.add (i32.const 74560) (local.get $slot))))
            (i32.store (i32.add (i32.const 90944) (local.get $slot)) (i32.wrap_i64 (local.get $offset)))
            (i32.store (i32.add (i32.const 107328) (local.get $slot)) (i32.wrap_i64 (local.get $value)))
            (i32.store16
              (i32.add (i32.const 123712) (i32.shr_u (local.get $slot) (i32.const 1)))
              (i32.wrap_i64 (i64.shr_u (local.get $offset) (i64.const 32))))
            (local.set $offset (i64.add (local.get $offset) (local.get $value)))
            (local.set $entry (local.get $at))
            (local.set $field (i32.const 0))
            (local.set $count (i32.add (local.get $count) (i32.const 1)))
            (br_if $done (i32.eq (local.get $count) (i32.const 4096)))))))
      (local.set $value (i64.const 0))
      (local.set $shift (i64.const 0))
      (br $bytes)))
    (i32.store (i32.const 8200) (i32.wrap_i64 (local.get $pgno)))
    (i64.store (i32.const 8208) (local.get $offset))
    (i32.store (i32.const 8216) (i32.sub (local.get $entry) (i32.const 8448)))
    (local.get $count))

  ;; ---- sums of pages ------------------------------------------------------------------------------------

  ;; Both words of `x` times those of `y`, as polynomials over two elements modulo x^64 + x^4 + x^3 + x + 1.
  (func $multiply (param $x v128) (param $y v128) (result v128)
    (local $product v128)
    (local $left i32)
    (local.set $left (i32.const 64))
    (loop $bit
      (local.set $product
        (v128.xor
          (local.get $product)
          (v128.and
            (local.get $x)
            (i64x2.neg (v128.and (local.get $y) (v128.const i64x2 1 1))))))
      (local.set $y (i64x2.shr_u (local.get $y) (i32.const 1)))
      (local.set $x
        (v128.xor
          (i64x2.shl (local.get $x) (i32.const 1))
          (v128.and
            (i64x2.lt_s (local.get $x) (v128.const i64x2 0 0))
            (v128.const i64x2 0x1b 0x1b))))
      (local.set $left (i32.sub (local.get $left) (i32.const 1)))
      (br_if $bit (local.get $left)))
    (local.get $product))

  ;; Products of what four words of the page and the four behind them are when the key is added to each.
  (func $products (param $page v128) (param $next v128) (param $key i32) (result v128)
    (local.set $page (i32x4.add (local.get $page) (v128.load (local.get $key))))
    (local.set $next (i32x4.add (local.get $next) (v128.load offset=16 (local.get $key))))
    (i64x2.add
      (i64x2.extmul_low_i32x4_u (local.get $page) (local.get $next))
      (i64x2.extmul_high_i32x4_u (local.get $page) (local.get $next))))

  ;; Leaves the sum of the page of `size` bytes that was put in where the register is; see page-sum.ts.
  (func (export "sum") (param $size i32)
    (local $from i32)
    (local $key i32)
    (local $end i32)
    (local $page v128)
    (local $next v128)
    (local $first v128)
    (local $second v128)
    (local.set $from (i32.const 8448))
    (local.set $key (i32.const 140816))
    (local.set $end (i32.add (local.get $from) (local.get $size)))
    (loop $stretch
      (local.set $page (v128.load (local.get $from)))
      (local.set $next (v128.load offset=16 (local.get $from)))
      (local.set $first
        (i64x2.add
          (local.get $first)
          (call $products (local.get $page) (local.get $next) (local.get $key))))
      (local.set $key (i32.add (local.get $key) (i32.const 32)))
      (local.set $second
        (i64x2.add
          (local.get $second)
          (call $products (local.get $page) (local.get $next) (local.get $key))))
      (local.set $from (i32.add (local.get $from) (i32.const 32)))
      (br_if $stretch (i32.lt_u (local.get $from) (local.get $end))))
    ;; The first words of both go together, and the second ones.
    (local.set $page
      (call $multiply
        (i64x2.add
          (i8x16.shuffle 0 1 2 3 4 5 6 7 16 17 18 19 20 21 22 23 (local.get $first) (local.get $second))
          (i8x16.shuffle 8 9 10 11 12 13 14 15 24 25 26 27 28 29 30 31 (local.get $first) (local.get $second)))
        (v128.load (i32.const 140800))))
    (i64.store
      (i32.const 8192)
      (i64.xor (i64x2.extract_lane 0 (local.get $page)) (i64x2.extract_lane 1 (local.get $page))))))
