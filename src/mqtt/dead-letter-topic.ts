/** deadLetterTopic: publishes messages that could not be decoded to a topic of their own, where they can be looked at. */
import { MillraceError } from '../errors.js'
import { Log } from '../log.js'
import { beforeTasksEnd } from '../receiver/work-of-tasks.js'
import type { DeadLetter } from './mqtt-decoding-receiver.js'
import type { MqttConnectionOptions } from './mqtt-options.js'
import { MqttPublisher } from './mqtt-publisher.js'
import type { OutgoingMessage } from './publish-encoder.js'
import { resolveConnection } from './resolved-options.js'
import { checkTopicName } from './topic-filter.js'

/** Where dead letters go, and how. */
export interface DeadLetterTopicOptions extends MqttConnectionOptions {
  /** A topic, or a function that gives one for each letter. It should not be one the receiver is subscribed to. */
  readonly topic: string | ((letter: DeadLetter) => string)
  /** @default 1 */
  readonly qos?: 0 | 1 | 2
  /** @default false */
  readonly retain?: boolean
}

const MAX_IN_FLIGHT = 100

/**
 * A handler for `onMalformed` that publishes each message that could not be decoded, its payload and MQTT 5 properties as they came, with two user
 * properties more: `millrace-topic`, where it came from, and `millrace-error`, what was wrong with it.
 *
 * ```ts
 * import { deadLetterTopic, MqttJsonReceiver, StreamingContext } from 'millrace'
 * const ssc = new StreamingContext({ appName: 'readings', batchInterval: '1s' })
 * const onMalformed = deadLetterTopic('mqtt://localhost:1883', { topic: 'dead/readings' })
 * ssc.receiverStream(new MqttJsonReceiver('mqtt://localhost:1883', 'plant/#', { onMalformed })).print()
 * ```
 *
 * A task is done when the broker has acknowledged the letters of its messages. One the broker refuses is logged and left; a letter that came from the
 * topic it would go to is not published again. Throws `MQTT_INVALID_URL`, `MQTT_INVALID_OPTION` and `ILLEGAL_ARGUMENT` (the topic) at once.
 */
export function deadLetterTopic(
  brokerUrl: string | readonly string[],
  options: DeadLetterTopicOptions,
): (letter: DeadLetter) => void {
  const { topic, qos = 1, retain = false, ...rest } = options
  if (typeof topic === 'string') checkTopicName(topic)
  else if (typeof topic !== 'function') {
    throw new MillraceError('MQTT_INVALID_OPTION', 'deadLetterTopic needs a topic, or a function that gives one.', {
      details: { option: 'topic' },
    })
  }
  const publisher = new MqttPublisher(resolveConnection(brokerUrl, rest), MAX_IN_FLIGHT)
  const log = Log.fromEnvironment()
  let waiting: OutgoingMessage[] = []
  let isPublishing = false

  async function publishWaiting(): Promise<void> {
    // The letters of one slice of a task go out together.
    await Promise.resolve()
    while (waiting.length > 0) {
      const letters = waiting
      waiting = []
      for (const letter of await refusedOf(publisher, letters)) {
        log.error('A dead letter could not be published', letter)
      }
    }
    isPublishing = false
  }

  return (letter) => {
    const to = typeof topic === 'string' ? topic : checkTopicName(topic(letter))
    if (to === letter.topic) return
    const { userProperties = [], subscriptionIdentifiers, ...properties } = letter.properties ?? {}
    const why = letter.error.message.slice(0, 1000)
    waiting.push({
      topic: to,
      payload: letter.payload,
      qos,
      retain,
      properties: {
        ...properties,
        userProperties: [...userProperties, ['millrace-topic', letter.topic], ['millrace-error', why]],
      },
    })
    if (isPublishing) return
    isPublishing = true
    beforeTasksEnd(publishWaiting())
  }
}

/** Publishes the letters; gives topic and error of those the broker refuses. */
async function refusedOf(
  publisher: MqttPublisher,
  letters: readonly OutgoingMessage[],
): Promise<{ topic: string; error: unknown }[]> {
  try {
    await publisher.publishAll(letters)
    return []
  } catch (error) {
    const [first] = letters
    if (letters.length === 1) return [{ topic: first!.topic, error }]
    // Which one it was is found by publishing them one at a time; the others may come twice.
    const refused: { topic: string; error: unknown }[] = []
    for (const letter of letters) refused.push(...(await refusedOf(publisher, [letter])))
    return refused
  }
}
