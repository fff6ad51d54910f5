/** The clients' own process: gets one job from the bench, does it, tells the result. */
import { once } from 'node:events'
import type { Load } from './load.ts'
import { runLoad } from './load.ts'
import type { Upload } from './upload.ts'
import { runUpload } from './upload.ts'

const [job] = (await once(process, 'message')) as [{ load: Load } | { upload: Upload }]
try {
  const result = 'load' in job ? await runLoad(job.load) : await runUpload(job.upload)
  process.send?.({ result }, () => process.exit(0))
} catch (error) {
  process.send?.({ error: (error as Error).message }, () => process.exit(1))
}
