/** The name of a stage, for Spark's UI: the user's operators in it from the source up, each with the line it stands in. */
import type { Lineage } from '../../rdd/lineage.js'
import { isTaskFunction, type TaskFunction } from '../../rdd/task-function.js'
import { functionsOf, functionsOfShuffle, isLeaf, type StageEnd } from './stage.js'

/** `1-flatMap at word-count.ts:7 → 2-map at word-count.ts:8 → …`. What has no function of the user's is called by what it does. */
export function stageName(top: Lineage, end: StageEnd, places: ReadonlyMap<string, string>): string {
  const names: string[] = []
  if (end.type === 'shuffle') names.push(...operatorsOf(functionsOfShuffle(end.shuffle), 'shuffle', places))
  for (let node: Lineage | undefined = top; node !== undefined; node = below(node, top)) {
    if (node.type === 'mapped') names.push(...operatorsOf(functionsOf(node.operation), node.operation.type, places))
    else if (node.type === 'partitioned') names.push(...operatorsOf(functionsOfShuffle(node), 'shuffle', places))
    else if (node.type !== 'united') names.push(node.type === 'blocks' ? 'received blocks' : node.type)
  }
  return names
    .reverse()
    .filter((name, i) => name !== names[i - 1])
    .join(' → ')
}

/** The first parent in this stage: the one that a chain of operations stands on. */
function below(node: Lineage, top: Lineage): Lineage | undefined {
  if (node.type === 'united' || (node.type === 'mapped' && (node === top || !isLeaf(node, top)))) return node.parents[0]
  return undefined
}

function operatorsOf(
  functions: readonly TaskFunction[],
  otherwise: string,
  places: ReadonlyMap<string, string>,
): string[] {
  const operators = new Set(functions.flatMap(userOperators))
  if (operators.size === 0) return [otherwise]
  return [...operators].map((operator) => {
    const place = places.get(operator)
    return place === undefined ? operator : `${operator} at ${place}`
  })
}

/** The operators of the user's functions in this one: itself, or those a function of ours is made of. */
function userOperators(f: TaskFunction): string[] {
  if (f.type === 'library') return f.args.flatMap((arg) => (isTaskFunction(arg) ? userOperators(arg) : []))
  return f.id === null ? [] : [f.id.slice(0, f.id.lastIndexOf('/'))]
}
