/** The client process: receives one job from the benchmark, runs it and sends the result. */
import { once } from 'node:events'
import type { Load } from './load.ts'
import { runLoad } from './load.ts'
import type { Read } from './read.ts'
import { runRead } from './read.ts'
import type { Upload } from './upload.ts'
import { runUpload } from './upload.ts'

export interface Jobs {
  readonly load?: Load
  readonly read?: Read
  readonly upload?: Upload
}

const [{ load, read, upload }] = (await once(process, 'message')) as [Jobs]
try {
  const result = load ? await runLoad(load) : read ? await runRead(read) : upload && (await runUpload(upload))
  process.send?.({ result }, () => process.exit(0))
} catch (error) {
  process.send?.({ error: (error as Error).message }, () => process.exit(1))
}
