// What node-llama-cpp's header arithmetic says of the points on standard input: JSON lines in, JSON lines out.
// Usage, in a folder where `npm install node-llama-cpp@3.22.1` was run: node …/node_llama_cpp.mjs < points.jsonl
// Each line has file, n_gpu_layers, n_ctx, n_ubatch, flash_attn, type_kv; the answer adds vram, in bytes.
// Its other estimate ("V2") asks llama.cpp itself for a dry load, which needs the GPU to be there.
import { createInterface } from "node:readline";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const require = createRequire(pathToFileURL(process.cwd() + "/"));
const { GgmlType, GgufInsights, readGgufFileInfo } = await import(pathToFileURL(require.resolve("node-llama-cpp")));
const TYPES = { f16: GgmlType.F16, q8_0: GgmlType.Q8_0, q4_0: GgmlType.Q4_0, f32: GgmlType.F32 };
const known = new Map();

for await (const line of createInterface({ input: process.stdin })) {
    const point = JSON.parse(line);
    if (!known.has(point.file)) {
        const info = await readGgufFileInfo(point.file, { logWarnings: false });
        known.set(point.file, await GgufInsights.from(info));
    }
    const insights = known.get(point.file);
    const model = insights.estimateModelResourceRequirements({ gpuLayers: point.n_gpu_layers, useMmap: true, gpuSupportsMmap: false });
    const context = insights.estimateContextResourceRequirements({
        contextSize: point.n_ctx,
        modelGpuLayers: point.n_gpu_layers,
        batchSize: point.n_ubatch,
        sequences: 1,
        flashAttention: point.flash_attn,
        kvCacheKeyType: TYPES[point.type_kv],
        kvCacheValueType: TYPES[point.type_kv],
    });
    console.log(JSON.stringify({ ...point, weights: model.gpuVram, vram: model.gpuVram + context.gpuVram }));
}
process.exit(0);
