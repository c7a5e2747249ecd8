/** A stream of dogs is a stream of animals; a stream of animals is no stream of dogs. */
import type { Broadcast, DStream, MapWithStateDStream, Pair, RDD, Receiver } from 'millrace'
import { expectTypeOf, test } from 'vitest'

interface Animal {
  readonly name: string
}
interface Dog extends Animal {
  bark(): void
}

test('what only gives records is covariant', () => {
  expectTypeOf<DStream<Dog>>().toExtend<DStream<Animal>>()
  expectTypeOf<DStream<Animal>>().not.toExtend<DStream<Dog>>()
  expectTypeOf<RDD<Dog>>().toExtend<RDD<Animal>>()
  expectTypeOf<RDD<Animal>>().not.toExtend<RDD<Dog>>()
  expectTypeOf<Broadcast<Dog>>().toExtend<Broadcast<Animal>>()
  expectTypeOf<DStream<Pair<string, Dog>>>().toExtend<DStream<Pair<string, Animal>>>()
  expectTypeOf<MapWithStateDStream<string, number, Dog>>().toExtend<DStream<Animal>>()
  expectTypeOf<DStream<[string, Dog]>>().toExtend<DStream<Pair<string, Animal>>>()
})

test('a receiver takes records, so it is of one type', () => {
  expectTypeOf<Receiver<Animal>>().not.toExtend<Receiver<Dog>>()
})

test('streams of kinds of one thing unite to a stream of that thing', () => {
  const dogs = {} as DStream<Dog>
  const animals = {} as DStream<Animal>
  const all: DStream<Animal> = dogs
  expectTypeOf(animals.union(dogs)).toExtend<DStream<Animal>>()
  expectTypeOf(all.map((animal) => animal.name)).toEqualTypeOf<DStream<string>>()
})
