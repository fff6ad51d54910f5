import { readFileSync } from 'node:fs'
import { request as requestPlain } from 'node:http'
import type { RequestOptions } from 'node:http'
import { request as requestTls } from 'node:https'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/**
 * Within how long a port must answer, from the beginning of a start. Longer than a start may take, so that the error of
 * a start that hangs comes first: it has the output.
 */
export const DEADLINE_MS = 300_000
/** Pauses between two attempts, in milliseconds: until there is something, and after a status that is no answer yet. */
export const CONNECT_MS = 5
const RETRY_MS = 20
/** What nginx and the services answer while something that they need does not serve. nginx also limits requests. */
const NOT_YET = new Set([429, 502, 503, 504])

/** A request and the only status that may answer it, apart from those that ask to retry. */
export interface Question {
  readonly port: number
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly expected: 200 | 401
  /** The file of the authority of a port with TLS. */
  readonly authority?: string | undefined
}

/**
 * Sends each question from before its port listens until there is an answer. Returns what was answered wrongly: one
 * line for each question.
 */
export async function findWrongAnswers(questions: readonly Question[]): Promise<string[]> {
  const deadline = Date.now() + DEADLINE_MS
  const listening = new Map<number, Promise<void>>()
  const ask = async (question: Question) => {
    const { port, expected } = question
    const listens = listening.get(port) ?? untilListening(port, deadline)
    listening.set(port, listens)
    await listens
    const { status, text } = await firstAnswer(question, deadline)
    return status === expected
      ? []
      : [`${describe(question)}: ${status} instead of ${expected}: ${text.slice(0, 300)}`]
  }
  return (await Promise.all(questions.map(ask))).flat()
}

interface Received {
  readonly status: number | undefined
  readonly text: string
}

function describe({ port, path, headers }: Question): string {
  return `port ${port}, GET ${path} with ${headers?.['authorization']?.split(' ', 1)[0] ?? 'no'} credentials`
}

async function untilListening(port: number, deadline: number): Promise<void> {
  const listens = () =>
    new Promise<boolean>((resolve) => {
      const socket = connect({ host: '127.0.0.1', port })
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
      socket.once('connect', () => socket.destroy())
    })
  while (!(await listens())) {
    if (Date.now() > deadline) throw new Error(`nothing listens on port ${port}`)
    await sleep(CONNECT_MS)
  }
}

/** The first answer that does not ask to retry. */
async function firstAnswer(question: Question, deadline: number): Promise<Received> {
  for (;;) {
    const received = await send(question)
    const { status } = received
    if (status !== undefined && !NOT_YET.has(status)) return received
    if (Date.now() > deadline) throw new Error(`${describe(question)}: ${status} only`)
    await sleep(RETRY_MS)
  }
}

/** Sends a question once, on a connection of its own. Its status is undefined if there is no response. */
function send({ port, path, headers, authority }: Question): Promise<Received> {
  return new Promise((resolve) => {
    const fail = (error: Error) => resolve({ status: undefined, text: error.message })
    const options: RequestOptions = { host: '127.0.0.1', port, path, headers, agent: false, timeout: 30_000 }
    const sent =
      authority === undefined
        ? requestPlain(options)
        : requestTls({ ...options, servername: 'localhost', ca: readFileSync(authority) })
    sent.on('error', fail).on('timeout', () => sent.destroy(new Error('no response')))
    sent.on('response', (response) => {
      let text = ''
      response.on('data', (chunk: Buffer) => (text += chunk.toString()))
      response.on('error', fail).on('end', () => resolve({ status: response.statusCode, text }))
    })
    sent.end()
  })
}
