import { PassThrough, Readable } from 'node:stream'
import type { Problem } from '@registry-manager/http'
import { ProblemError } from '@registry-manager/http'
import t from 'tap'
import { readBody } from '../src/request-body.ts'

async function problemOf(reading: Promise<unknown>): Promise<Problem | undefined> {
  const error = await reading.then(
    () => undefined,
    (cause: unknown) => cause,
  )
  return error instanceof ProblemError ? error.problem : undefined
}

t.test('readBody returns the whole body of a request', async (t) => {
  const body = await readBody(Readable.from([Buffer.from('ab'), Buffer.from('c')]), { maxBytes: 3 })
  t.equal(body?.toString(), 'abc')
  const chunks = Array.from({ length: 100 }, (_, index) => Buffer.from([index]))
  for (const length of [undefined, 0, 10, 100, 1000]) {
    const read = await readBody(Readable.from(chunks), { maxBytes: 100, length })
    t.same(read, Buffer.concat(chunks), `100 bytes with a Content-Length of ${length}`)
  }
  t.equal((await readBody(Readable.from([]), { maxBytes: 3 }))?.length, 0)
})

t.test('the rest of a body that is too long can still be read', async (t) => {
  const source = new PassThrough()
  source.write('abcd')
  t.equal(await readBody(source, { maxBytes: 3 }), undefined)
  source.end('e')
  source.resume()
  await new Promise((resolve) => source.once('end', resolve))
  t.notOk(source.errored)
})

t.test('a body that the client aborts is 400', async (t) => {
  const source = new PassThrough()
  const read = readBody(source, { maxBytes: 3 })
  source.destroy(new Error('aborted'))
  t.match(await problemOf(read), { status: 400, detail: 'the client closed the connection within the body' })
})

t.test('a body that does not arrive in time is 408, and the connection is closed', async (t) => {
  const source = new PassThrough()
  source.write('a')
  const headers = { connection: 'close' }
  t.match(await problemOf(readBody(source, { maxBytes: 3, readMs: 20 })), { status: 408, headers })
  source.destroy()
})
