/** So many lines of ten words, of about ten thousand different ones: the same each time. */
export function wordLines(count) {
  return Array.from({ length: count }, (_, i) =>
    Array.from({ length: 10 }, (_, j) => `word${(i * 7919 + j * 104_729) % 10_007}`).join(' '),
  )
}
