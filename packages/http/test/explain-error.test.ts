import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import t from 'tap'
import { explainError, explainStartFailure } from '../src/index.ts'

const withFields = (message: string, fields: object) => Object.assign(new Error(message), fields)

t.test('explainError describes an error in one line that is never empty', async (t) => {
  for (const [error, text] of [
    [new Error('as it says'), 'as it says'],
    // PGlite's file system on a full disk throws a WASI errno without a message.
    [{ name: 'ErrnoError', errno: 51, code: 'ENOSPC' }, 'no space left on the disk, ENOSPC'],
    [{ name: 'ErrnoError', errno: 51 }, 'no space left on the disk, ENOSPC'],
    [{ name: 'ErrnoError', errno: 76 }, 'ErrnoError, errno 76'],
    [withFields('', { code: 'ECONNREFUSED' }), 'failed without a reason, ECONNREFUSED'],
    [new AggregateError([new Error('one'), new Error('two')], ''), 'one; two'],
    [
      withFields('write failed', { code: 'ENOSPC', path: '/data/x' }),
      'write failed, no space left on the disk, ENOSPC, /data/x',
    ],
    [withFields('wrong key', { code: 'ERR_OSSL_X' }), 'wrong key'],
    [new TypeError(''), 'TypeError'],
    [new Error(''), 'failed without a reason'],
    [{}, 'failed without a reason'],
    [undefined, 'failed without an error object: undefined'],
    ['text', 'failed without an error object: text'],
  ] as const) {
    t.equal(explainError(error), text)
    t.equal(explainStartFailure(error), text, 'explainStartFailure returns the same string')
  }
})

t.test('errors of system calls keep their message, without repeating code and path', async (t) => {
  try {
    readFileSync('/no/such/file')
  } catch (error) {
    t.equal(explainError(error), "ENOENT: no such file or directory, open '/no/such/file'")
  }
})

t.test('a connection that every address refuses is explained with the addresses', async (t) => {
  const socket = connect({ host: 'localhost', port: 1, autoSelectFamily: true })
  const error = await new Promise<Error>((resolve) => socket.once('error', resolve))
  t.match(explainError(error), /ECONNREFUSED .*:1/)
})

t.test('an address of another machine is explained with the setting HOST', async (t) => {
  const error = withFields('listen EADDRNOTAVAIL', {
    code: 'EADDRNOTAVAIL',
    address: '1.2.3.4',
    syscall: 'listen',
  })
  t.equal(
    explainStartFailure(error),
    'HOST is 1.2.3.4, which is not an address of this machine: set HOST to one of its own, or to 0.0.0.0',
  )
})
