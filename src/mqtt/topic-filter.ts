/** Topic names and topic filters: MQTT's rules (4.7, 4.8), checked where the user writes them. */
import { MillraceError } from '../errors.js'

/** A filter as the broker sees it: `filter` decides what matches, `group` is the shared subscription's name or null. */
export interface TopicFilter {
  readonly filter: string
  readonly group: string | null
}

/**
 * Reads a topic filter, `$share/group/filter` included.
 *
 * Throws `MQTT_INVALID_TOPIC_FILTER` when it is empty, longer than 65,535 bytes, holds U+0000 or half a surrogate pair, has a
 * `+` or `#` that is not a whole level, or a `#` that is not the last level.
 */
export function parseTopicFilter(text: unknown): TopicFilter {
  if (typeof text !== 'string' || text === '') throw invalid(text, 'A topic filter is a text of at least one character')
  checkText(text, 'MQTT_INVALID_TOPIC_FILTER')
  let filter: string = text
  let group: string | null = null
  if (text === '$share' || text.startsWith('$share/')) {
    const [, name, ...rest] = text.split('/')
    if (name === undefined || name === '' || /[+#]/.test(name)) {
      throw invalid(text, 'A shared subscription is written $share/GROUP/FILTER, with a group name free of + and #')
    }
    group = name
    filter = rest.join('/')
    if (filter === '') throw invalid(text, 'A shared subscription needs a filter after the group: $share/GROUP/FILTER')
  }
  const levels = filter.split('/')
  levels.forEach((level, index) => {
    if (level.includes('#') && (level !== '#' || index !== levels.length - 1)) {
      throw invalid(text, "'#' must be the whole last level, as in plant/#")
    }
    if (level.includes('+') && level !== '+') throw invalid(text, "'+' must be a whole level, as in plant/+/temp")
  })
  return { filter, group }
}

/** The name of a topic to publish to. Throws `ILLEGAL_ARGUMENT` when it is empty, too long, or holds a wildcard or U+0000. */
export function checkTopicName(topic: unknown): string {
  if (typeof topic !== 'string' || topic === '' || /[+#]/.test(topic)) {
    throw new MillraceError(
      'ILLEGAL_ARGUMENT',
      `${JSON.stringify(topic)} is not a topic name. Expected a text of at least one character without + and #.`,
    )
  }
  checkText(topic, 'ILLEGAL_ARGUMENT')
  return topic
}

function checkText(text: string, code: 'MQTT_INVALID_TOPIC_FILTER' | 'ILLEGAL_ARGUMENT'): void {
  const problem = text.includes('\u0000')
    ? 'holds the character U+0000'
    : /\p{Surrogate}/u.test(text)
      ? 'holds half a surrogate pair'
      : Buffer.byteLength(text) > 65_535
        ? 'is longer than 65,535 bytes'
        : null
  if (problem !== null) {
    throw new MillraceError(code, `The topic ${JSON.stringify(text.slice(0, 100))} ${problem}; MQTT cannot send it.`)
  }
}

function invalid(text: unknown, rule: string): MillraceError {
  return new MillraceError(
    'MQTT_INVALID_TOPIC_FILTER',
    `${JSON.stringify(text) ?? String(text)} is not a valid topic filter. ${rule}.`,
    { details: { filter: typeof text === 'string' ? text : null } },
  )
}
