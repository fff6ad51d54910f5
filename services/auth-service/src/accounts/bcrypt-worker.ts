/** Compares one password with one bcrypt hash, on a thread of its own, and posts the result. */
import { parentPort, workerData } from 'node:worker_threads'
import { compareSync } from 'bcryptjs'

const { password, hash } = workerData as { readonly password: string; readonly hash: string }
// oxlint-disable-next-line unicorn/require-post-message-target-origin -- the port of a thread has no origin
parentPort?.postMessage(compareSync(password, hash))
