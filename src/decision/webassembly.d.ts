// Declares the part of the WebAssembly JavaScript API that is used here. @types/node 20 lacks it, and the DOM
// library would declare the globals of a browser as well.
declare namespace WebAssembly {
  class Module {
    constructor(bytes: Uint8Array);
    static customSections(module: Module, name: string): ArrayBuffer[];
  }
}
