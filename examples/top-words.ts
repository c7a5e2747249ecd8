/** A batch job, without streams: the most frequent words of text files. `millrace run examples/top-words.ts` ends when it is done. */
import { defineJob } from 'millrace'

const files = process.env.FILES ?? '*.md'

export default defineJob({ name: 'top-words' }, async ({ sparkContext }) => {
  const words = sparkContext.textFile(files).flatMap((line) => line.toLowerCase().match(/[a-z]{4,}/g) ?? [])
  const counts = words.map((word) => [word, 1]).reduceByKey((a, b) => a + b)
  for (const [word, count] of await counts.top(10, ([, a], [, b]) => a - b)) console.log(`${count} ${word}`)
})
