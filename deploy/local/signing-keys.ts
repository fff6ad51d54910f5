import { createSigningKeys } from '@registry-manager/auth-service/embedding'
import { explainError } from '@registry-manager/http'
import { makeFolder } from './own-files.ts'

/** Creates the signing keys if they do not exist. Returns whether it did. Throws an Error that names the folder. */
export async function prepareSigningKeys(folder: string): Promise<boolean> {
  try {
    makeFolder(folder)
    return await createSigningKeys(folder)
  } catch (error) {
    throw new Error(`the signing keys in ${folder} cannot be created: ${explainError(error)}`, {
      cause: error,
    })
  }
}
