/** Prints the liveness of an owner with a given process id and another start time. */
import { livenessOf, newOwner } from '../../../src/storage/fs/lock/owner.ts'

const [place] = newOwner().split(' ')
console.log(place, livenessOf(`${place} ${process.argv[2]} 1 x`))
