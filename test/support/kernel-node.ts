/** Setup of the project `kernel`: the tests of the codec once more, with its WebAssembly in place. */
import { installCodecKernel } from "../../replicator/codec-kernel.ts";

installCodecKernel();
