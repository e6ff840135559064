// The part of the WebAssembly JS API that is used here. @types/node 20 does not declare it, and the
// DOM library would bring a browser's globals with it.
declare namespace WebAssembly {
  class Module {
    constructor(bytes: Uint8Array);
    static customSections(module: Module, name: string): ArrayBuffer[];
  }
}
