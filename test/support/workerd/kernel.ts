/** Setup of the tests in workerd: the codec's WebAssembly is in place, as in the Worker. */
import { installKernel } from "../../../shared/ltx/kernel.ts";
import kernelModule from "../../../shared/ltx/kernel.wasm";

installKernel(kernelModule);
