// Runs infra/compiler.py in Pyodide, which is CPython as WebAssembly: node compiler_in_pyodide.mjs COMPILER FOLDER
import { readFileSync } from "node:fs";
import { loadPyodide } from "pyodide";

const [compiler, folder] = process.argv.slice(2);
const python = await loadPyodide();
python.FS.mkdir("/folder");
python.FS.mount(python.FS.filesystems.NODEFS, { root: folder }, "/folder");
python.runPython("import sys; sys.argv = ['compiler.py', '/folder']");
python.runPython(readFileSync(compiler, "utf8"));
