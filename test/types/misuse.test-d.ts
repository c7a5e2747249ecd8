/** What must not compile. What the compiler says is looked at in messages.test.ts. */
import { type DStream, type Pair, type RDD, type SparkContext, type State, StateSpec } from 'millrace'
import { test } from 'vitest'

declare const words: DStream<string>
declare const counts: DStream<Pair<string, number>>
declare const lines: RDD<string>
declare const sc: SparkContext

test('operations of pairs on what is no pair', () => {
  // @ts-expect-error a string is no pair
  words.reduceByKey((a, _b) => a)
  // @ts-expect-error a string is no pair
  words.updateStateByKey((_values, state: number | null) => state)
  // @ts-expect-error a string is no pair
  words.join(counts)
  // @ts-expect-error nor is three of anything
  words.map((word) => [word, 1, 2]).groupByKey()
  // @ts-expect-error a string is no pair
  lines.countByKey()
  // @ts-expect-error a string is no number
  lines.sum()
  // @ts-expect-error a string is no number
  lines.histogram(3)
})

test('functions of other types', () => {
  const minus = (a: number, b: number) => a - b
  const minusText = (a: number, b: number) => String(a - b)
  const greater = (a: number, b: number) => a > b
  // @ts-expect-error the sum of two numbers is no text
  counts.reduceByKey((a, b) => `${a + b}`)
  // @ts-expect-error a window is reduced to what its records are
  counts.reduceByKeyAndWindow(greater, '10s')
  counts.reduceByKeyAndWindow(minus, minus, '10s', '1s')
  // @ts-expect-error the inverse has the type of the function
  counts.reduceByKeyAndWindow(minus, minusText, '10s', '1s')
  // @ts-expect-error reduce gives what it takes
  words.reduce((a, b) => a.length + b.length)
  // @ts-expect-error the records are strings
  words.map((word: number) => word + 1)
})

test('joins by keys of other types', () => {
  // @ts-expect-error one side has texts for keys, the other numbers
  counts.join(words.map((word) => [word.length, word]))
  // @ts-expect-error one side has texts for keys, the other numbers
  lines.map((line) => [line, 1]).cogroup(sc.parallelize([[1, 2]]))
})

test('states of other types', () => {
  // @ts-expect-error the state is a number, and a text is returned
  counts.updateStateByKey((_values, _total: number | null) => 'many')
  // @ts-expect-error a new key has null for its state
  counts.updateStateByKey((_values, total: number | undefined) => total)
  // @ts-expect-error the states before the first batch are numbers too
  counts.updateStateByKey((_values, total: number | null) => total, 2, [['a', 'b']])
  // @ts-expect-error the values are numbers
  counts.updateStateByKey((_values: string[], total: number | null) => total)
  const ofTexts = StateSpec.function((_key: string, _value: string | null, state: State<number>) => state.get())
  // @ts-expect-error the spec is for values of text
  counts.mapWithState(ofTexts)
  const ofNumbers = StateSpec.function((key: string, _value: number | null, state: State<number>) => {
    // @ts-expect-error the state is a number
    state.update('many')
    return key
  })
  // @ts-expect-error the states are numbers
  ofNumbers.initialState([['a', 'b']])
})

test('promises where nobody waits for them', () => {
  // @ts-expect-error a promise is always true
  words.filter(async (word) => word === '')
  // @ts-expect-error a promise is always true
  lines.filter(async (line) => line === '')
  // @ts-expect-error the callback of transform must be synchronous
  words.transform(async (rdd) => rdd)
})
