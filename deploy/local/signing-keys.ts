import { createSigningKeys } from '@registry-manager/auth-service/embedding'
import { explainError } from '@registry-manager/http'
import { makeFolder } from './own-files.ts'

/** Makes the signing keys unless they are there. Returns whether it did. Throws an Error that names their folder. */
export async function prepareSigningKeys(folder: string): Promise<boolean> {
  try {
    makeFolder(folder)
    return await createSigningKeys(folder)
  } catch (error) {
    throw new Error(`the signing keys in ${folder} cannot be made: ${explainError(error)}`, { cause: error })
  }
}
