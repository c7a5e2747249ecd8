/** The shuffles that were made for one RDD of a stream: nobody else reads what they wrote, so it goes with that RDD. */
import { ancestorsOf, type Lineage, type PartitionedLineage } from '../rdd/lineage.js'

/**
 * Those in `lineage`, but not what was there before the RDD with the id `firstId` was (a table that batches are joined with), nor what
 * lies behind a lineage in `kept` (an RDD of another stream, which has it still).
 */
export function ownShuffles(lineage: Lineage, firstId: number, kept: ReadonlySet<Lineage>): PartitionedLineage[] {
  const own = ancestorsOf(lineage, (node) => node.id >= firstId && !kept.has(node))
  return [...own].filter((node) => node.type === 'partitioned')
}
