# Cluster-robust covariances, Satterthwaite df and Hotelling tests as clubSandwich has them.
# Rscript make.R <folder of data> <output>; clubSandwich 0.5.8, lme4 1.1-31.
# clubSandwich takes no lmer fits with prior weights, so the weighted model is an lme fit with
# varFixed(~ 1 / w), the same model.
suppressMessages({library(lme4); library(nlme); library(clubSandwich); library(jsonlite)})
args <- commandArgs(trailingOnly = TRUE)
folder <- if (length(args)) args[1] else "../data"
target <- if (length(args) > 1) args[2] else "cluster_robust.json"
schema <- fromJSON(file.path(folder, "schema.json"), simplifyVector = FALSE)$datasets

frame <- function(name) {
  d <- read.csv(file.path(folder, schema[[name]]$file), colClasses = "character", na.strings = "NA")
  for (column in names(schema[[name]]$columns)) {
    kind <- schema[[name]]$columns[[column]]
    d[[column]] <- if (kind$type == "factor") factor(d[[column]], levels = unlist(kind$levels)) else
      as.numeric(d[[column]])
  }
  d
}

tight <- lmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-10, maxfun = 1e5),
                     calc.derivs = FALSE, check.conv.singular = "ignore")

figures <- function(m, cluster, contrast) {
  out <- lapply(c("CR0", "CR1", "CR2"), function(type) {
    V <- vcovCR(m, cluster = cluster, type = type)
    test <- coef_test(m, vcov = V, test = "Satterthwaite")
    joint <- Wald_test(m, constraints = contrast, vcov = V, test = "HTZ")
    list(vcov = unname(as.matrix(V)), df = test$df, pvalue = test$p_Satt,
         joint = list(F = joint$Fstat, delta = joint$delta, num_df = joint$df_num,
                      den_df = joint$df_denom, pvalue = joint$p_val))
  })
  names(out) <- c("CR0", "CR1", "CR2")
  out
}

models <- list(
  sleep_full_reml = list("sleepstudy", Reaction ~ Days + (Days | Subject), TRUE, "Subject"),
  sleep_int_ml = list("sleepstudy", Reaction ~ Days + (1 | Subject), FALSE, "Subject"),
  sleep_quad_reml = list("sleepstudy", Reaction ~ Days + I(Days^2) + (Days | Subject), TRUE, "Subject"),
  machines_nested_reml = list("machines", score ~ Machine + (1 | Worker/Machine), TRUE, "Worker"),
  machines_slopes_reml = list("machines", score ~ Machine + (0 + Machine | Worker), TRUE, "Worker"),
  pastes_nested_reml = list("pastes", strength ~ 1 + (1 | batch/cask), TRUE, "batch"),
  pastes_sample_reml = list("pastes", strength ~ 1 + (1 | sample), TRUE, "batch"),
  missing_int_reml = list("missing", y ~ x * f + (1 | g), TRUE, "g"))

out <- list(versions = list(R = R.version.string, lme4 = as.character(packageVersion("lme4")),
                            clubSandwich = as.character(packageVersion("clubSandwich"))))
for (id in names(models)) {
  spec <- models[[id]]
  d <- na.omit(frame(spec[[1]])[unique(c(all.vars(spec[[2]]), spec[[4]]))])
  m <- lmer(spec[[2]], d, REML = spec[[3]], control = tight)
  p <- length(fixef(m))
  contrast <- if (p == 1) diag(1) else diag(p)[-1, , drop = FALSE]
  if (p == 2) contrast <- diag(2)
  out[[id]] <- c(list(dataset = spec[[1]], formula = deparse1(spec[[2]]), cluster = spec[[4]], theta = unname(getME(m, "theta")),
                      reml = spec[[3]], contrast = contrast), figures(m, d[[spec[[4]]]], contrast))
}

d <- frame("sleepstudy")
d$v <- 1 / d$w
m <- lme(Reaction ~ Days, d, random = ~ Days | Subject, weights = varFixed(~ v), method = "REML",
         control = lmeControl(msTol = 1e-12, tolerance = 1e-12, maxIter = 500, msMaxIter = 500,
                              opt = "optim", reltol = 1e-14))
T <- t(chol(as.matrix(m$modelStruct$reStruct[[1]])))
out$sleep_full_weights_reml <- c(
  list(dataset = "sleepstudy", formula = "Reaction ~ Days + (Days | Subject)", weights = "w",
       cluster = "Subject", theta = T[lower.tri(T, TRUE)], reml = TRUE,
       contrast = diag(2), lme = list(beta = unname(fixef(m)), sigma = m$sigma)),
  figures(m, d$Subject, diag(2)))

write(toJSON(out, digits = NA, auto_unbox = TRUE, matrix = "rowmajor", pretty = FALSE), target)
