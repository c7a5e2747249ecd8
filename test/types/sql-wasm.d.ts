/** The few calls of sql.js that an example makes. */
declare module 'sql.js/dist/sql-wasm-inline.js' {
  export interface Database {
    run(sql: string, parameters?: readonly unknown[]): Database
    exec(sql: string): { readonly values: readonly unknown[][] }[]
    getRowsModified(): number
    export(): Uint8Array
    close(): void
  }
  export default function openSqlite(): Promise<{ Database: new (content: Uint8Array | null) => Database }>
}
