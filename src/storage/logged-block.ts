/** A received block as the log has it. */
import type { BlockInfo } from '../rdd/lineage.js'
import type { BlockFormat } from './journal-events.js'
import type { LogPosition } from './log-reader.js'

export interface LoggedBlock {
  readonly block: BlockInfo
  readonly format: BlockFormat
  readonly position: LogPosition
}

/** The number in a block's id. */
export function blockNumber({ id }: BlockInfo): number {
  return Number(id.slice(id.lastIndexOf('-') + 1))
}
