/** What the programs of `spark-mqtt.mjs` say of their batches: how many lines came, how old they were, which are missing. */

/** The batches a program has given out, each with the time it came. A batch that comes again replaces the one before. */
export class LineOutput {
  batches = new Map()

  async follow(program) {
    try {
      for (;;) {
        const line = await program.nextLine()
        if (!line.startsWith('{')) continue
        const batch = JSON.parse(line)
        this.batches.set(batch.time, { ...batch, at: Date.now() })
      }
    } catch {
      // The program has ended.
    }
  }

  /** Lines that have come out, of those from number `from` on. */
  count(from = 0) {
    let count = 0
    for (const { thousands } of this.batches.values())
      for (const [thousand, lines] of thousands) if (thousand * 1000 >= from) count += lines
    return count
  }

  /** Latencies in milliseconds of the thousands that came out from `since` on, the smallest first. */
  latencies(since) {
    const all = []
    for (const { thousands, at } of this.batches.values())
      if (at >= since) for (const [, , publishedAt] of thousands) all.push(at - publishedAt)
    return all.sort((a, b) => a - b)
  }
}
