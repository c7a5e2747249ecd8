/** The shuffles that were made for one RDD of a stream: nobody else reads what they wrote, so it goes with that RDD. */
import { type Lineage, type PartitionedLineage, parentsOf } from '../rdd/lineage.js'

/**
 * Those in `lineage`, but not what was there before the RDD with the id `firstId` was (a table that batches are joined with), nor what
 * lies behind a lineage in `kept` (an RDD of another stream, which has it still).
 */
export function ownShuffles(lineage: Lineage, firstId: number, kept: ReadonlySet<Lineage>): PartitionedLineage[] {
  const found: PartitionedLineage[] = []
  const seen = new Set<Lineage>(kept)
  const waiting = [lineage]
  for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
    if (node.id < firstId || seen.has(node)) continue
    seen.add(node)
    if (node.type === 'partitioned') found.push(node)
    waiting.push(...parentsOf(node))
  }
  return found
}
