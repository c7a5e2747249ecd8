/** Makes plain objects with given fields fast. */

const makers = new Map<string, (columns: unknown[][], i: number) => unknown>()
/** Makers are kept for this many sets of field names. */
const MAX_MAKERS = 1000

/** A function that makes object number `i` of these columns, one a field: with the fields written out, all objects have one shape from the start. */
export function objectMaker(names: readonly string[]): (columns: unknown[][], i: number) => unknown {
  const key = JSON.stringify(names)
  let make = makers.get(key)
  if (make === undefined) {
    // `["name"]` defines a field whatever it is called; `__proto__` as a bare name would set the prototype.
    const fields = names.map((name, column) => `[${JSON.stringify(name)}]: columns[${column}][i]`)
    make = new Function('columns', 'i', `return { ${fields.join(', ')} }`) as (
      columns: unknown[][],
      i: number,
    ) => unknown
    if (makers.size >= MAX_MAKERS) makers.clear()
    makers.set(key, make)
  }
  return make
}
