import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { DirectoryLock } from '../../src/storage/directory-lock.js'

let path = ''
beforeEach(async () => {
  path = await mkdtemp(join(tmpdir(), 'millrace-lock-'))
})
afterEach(() => rm(path, { recursive: true }))

const writeLock = (owner: object): Promise<void> => writeFile(join(path, 'LOCK'), JSON.stringify(owner))

describe('the lock of a directory', () => {
  it('is refused while it is held, naming the holder, and given after the release', async () => {
    const lock = await DirectoryLock.acquire(path)
    await expect(DirectoryLock.acquire(path)).rejects.toMatchObject({
      code: 'DIRECTORY_IN_USE',
      details: { pid: process.pid },
    })
    await lock.release()
    const again = await DirectoryLock.acquire(path)
    expect(await again.isHeld()).toBe(true)
    expect(await lock.isHeld()).toBe(false)
    await again.release()
    expect(await readdir(path)).toEqual([])
  })

  it('is refused while another process holds it, and taken over once that process is dead', async () => {
    const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' })
    await once(child, 'spawn')
    await writeLock({ pid: child.pid, host: hostname(), startTicks: null, token: 'theirs' })
    await expect(DirectoryLock.acquire(path)).rejects.toMatchObject({ code: 'DIRECTORY_IN_USE' })
    child.kill('SIGKILL')
    await once(child, 'exit')
    const lock = await DirectoryLock.acquire(path)
    expect(await lock.isHeld()).toBe(true)
  })

  it('is taken over when its process id now belongs to another process', async () => {
    await writeLock({ pid: process.pid, host: hostname(), startTicks: '1', token: 'an earlier process of this number' })
    const lock = await DirectoryLock.acquire(path)
    expect(await lock.isHeld()).toBe(true)
  })

  it('is taken over when a power failure left it empty', async () => {
    await writeFile(join(path, 'LOCK'), '')
    expect(await (await DirectoryLock.acquire(path)).isHeld()).toBe(true)
  })

  it('is refused when another machine holds it, whose processes cannot be seen', async () => {
    await writeLock({ pid: 1, host: 'elsewhere', startTicks: null, token: 'theirs' })
    await expect(DirectoryLock.acquire(path)).rejects.toMatchObject({
      code: 'DIRECTORY_IN_USE',
      details: { host: 'elsewhere' },
    })
  })

  it('has one winner when many take over the same dead lock', async () => {
    for (let round = 0; round < 20; round++) {
      await writeLock({ pid: 0x7ffffffe, host: hostname(), startTicks: '1', token: 'dead' })
      const results = await Promise.allSettled(Array.from({ length: 8 }, () => DirectoryLock.acquire(path)))
      const winners = results.filter((result) => result.status === 'fulfilled')
      expect(winners).toHaveLength(1)
      expect(await winners[0]!.value.isHeld()).toBe(true)
      expect(await readdir(path)).toEqual(['LOCK'])
      await winners[0]!.value.release()
    }
  })
})
