/**
 * The Huffman code of HPACK (RFC 7541 Appendix B), decoding only: our encoder sends plain literals.
 *
 * The code is canonical: codes of one length are consecutive numbers in the order of their symbols, so
 * the lengths alone define it, and the first code of each length is enough to decode.
 */

/** One digit (base 36) a symbol, the last one for EOS. */
export const HUFFMAN_LENGTHS =
  'dnsssssssoussussssssssusssssssss6aacd68baa8b8666555666666678f6ca' +
  'd67777777777777777777777878djde6f56565666577666567655677777fbeds' +
  'kmkkmmmnmnnnnnonoomnonnnnlmnmnnomlkmmnnlnmmolmnnllmlnmnnkmmmnmmn' +
  'qqkjmnmpqqqrrqopjlqrrqrollqqsrrrkoklmllnmmppooqnqrqqrrrrrsrrrrrq' +
  'u';

const LENGTH_MIN = 5;
const LENGTH_MAX = 30;
const EOS = 256;

/** For each length: the first code, how many there are, and where its symbols start in SYMBOLS. */
const FIRST = new Uint32Array(LENGTH_MAX + 1);
const COUNT = new Uint32Array(LENGTH_MAX + 1);
const START = new Uint32Array(LENGTH_MAX + 1);
const SYMBOLS = new Uint16Array(HUFFMAN_LENGTHS.length);

let filled = 0;
let code = 0;
for (let length = 1; length <= LENGTH_MAX; length++) {
  const start = filled;
  for (let symbol = 0; symbol <= EOS; symbol++) {
    if (Number.parseInt(HUFFMAN_LENGTHS.charAt(symbol), 36) === length) SYMBOLS[filled++] = symbol;
  }
  FIRST[length] = code;
  COUNT[length] = filled - start;
  START[length] = start;
  code = (code + filled - start) * 2;
}

/** Undefined for a code that does not end in at most 7 one bits of padding (RFC 7541 §5.2). */
export function decodeHuffman(bytes: Buffer): string | undefined {
  const bits = bytes.length * 8;
  const decoded = Buffer.allocUnsafe(Math.floor(bits / LENGTH_MIN));
  let written = 0;
  let at = 0;
  while (at < bits) {
    const window = windowAt(bytes, at);
    if (bits - at < 8 && window === 0xffffffff) break;
    let length = LENGTH_MIN;
    let code = window >>> (32 - length);
    // Ends for every window: the code is complete, so some length always matches.
    while (code - (FIRST[length] ?? 0) >= (COUNT[length] ?? 0)) {
      length++;
      code = window >>> (32 - length);
    }
    const symbol = SYMBOLS[(START[length] ?? 0) + code - (FIRST[length] ?? 0)] ?? EOS;
    at += length;
    if (symbol === EOS || at > bits) return undefined;
    decoded[written++] = symbol;
  }
  return decoded.toString('latin1', 0, written);
}

/** 32 bits from bit `at` on, filled up with ones. */
function windowAt(bytes: Buffer, at: number): number {
  const first = at >>> 3;
  const shift = at & 7;
  const high =
    (byteAt(bytes, first) << 24) |
    (byteAt(bytes, first + 1) << 16) |
    (byteAt(bytes, first + 2) << 8) |
    byteAt(bytes, first + 3);
  return ((high << shift) | (byteAt(bytes, first + 4) >>> (8 - shift))) >>> 0;
}

function byteAt(bytes: Buffer, index: number): number {
  return bytes[index] ?? 0xff;
}
