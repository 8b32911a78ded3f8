export const Annotation = {
  sumFormula: (hit) => hit._source.formula,
  msmScore: (hit) => hit._source.msm,
  fdrLevel: (hit) => hit._source.fdr,
}
