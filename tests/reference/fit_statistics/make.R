# ICC and R2 (performance), conditional AIC (cAIC4), rePCA (lme4) and VIF (car).
# Rscript make.R <folder of data> <output>.
# `johnson` is a plain-R transcription of Johnson (2014), eq. 10: the mean over rows of z' Sigma z, for
# every model; performance takes the columns of X for those of Z, which is not the same thing where a
# random effect is no fixed one, and counts the first term only where a factor has two (`||`).
# `generalized_df` is the trace of d fitted / d y (Greven and Kneib
# 2010, eq. 6) by central differences: the model is refitted, in one fit the response of one row is
# moved up, in another down. cAIC4's analytical formula halves a term of that derivative (in its
# `calculateGaussianBc`, `eWje * e / (2 * tye)`), so `caic4` differs a little.
suppressMessages({library(lme4); library(performance); library(cAIC4); library(car); library(jsonlite)})
args <- commandArgs(trailingOnly = TRUE)
folder <- if (length(args)) args[1] else "../data"
target <- if (length(args) > 1) args[2] else "fit_statistics.json"
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

models <- list(
  sleep_full_reml = list("sleepstudy", Reaction ~ Days + (Days | Subject), TRUE, NULL),
  sleep_full_ml = list("sleepstudy", Reaction ~ Days + (Days | Subject), FALSE, NULL),
  sleep_int_reml = list("sleepstudy", Reaction ~ Days + (1 | Subject), TRUE, NULL),
  sleep_zcp_reml = list("sleepstudy", Reaction ~ Days + (Days || Subject), TRUE, NULL),
  sleep_quad_reml = list("sleepstudy", Reaction ~ Days + I(Days^2) + (Days | Subject), TRUE, NULL),
  penicillin_reml = list("penicillin", diameter ~ 1 + (1 | plate) + (1 | sample), TRUE, NULL),
  penicillin_ml = list("penicillin", diameter ~ 1 + (1 | plate) + (1 | sample), FALSE, NULL),
  machines_nested_reml = list("machines", score ~ Machine + (1 | Worker/Machine), TRUE, NULL),
  machines_slopes_reml = list("machines", score ~ Machine + (0 + Machine | Worker), TRUE, NULL),
  pastes_nested_reml = list("pastes", strength ~ 1 + (1 | batch/cask), TRUE, NULL),
  sleep_full_weights_reml = list("sleepstudy", Reaction ~ Days + (Days | Subject), TRUE, "w"))

fit <- function(spec, d, control = tight, start = NULL) {
  f <- spec[[2]]
  environment(f) <- environment()
  d$.w <- if (is.null(spec[[4]])) 1 else d[[spec[[4]]]]
  if (is.null(spec[[4]])) lmer(f, d, REML = spec[[3]], control = control, start = start)
  else lmer(f, d, REML = spec[[3]], weights = .w, control = control, start = start)
}

johnson <- function(m) {
  L <- getME(m, "Lambdat") %*% getME(m, "Zt")
  mean(colSums(as.matrix(L)^2)) * sigma(m)^2
}

# lme4's refit() of a REML fit minimises another criterion once there are several fixed effects (it
# seems to count one), so the models are fitted anew.
generalized_df <- function(m, spec, d) {
  name <- all.vars(spec[[2]])[1]; step <- 0.02 * sigma(m)
  again <- lmerControl(optimizer = "bobyqa", optCtrl = list(rhobeg = 0.05, rhoend = 1e-9, maxfun = 1e5),
                       calc.derivs = FALSE, check.conv.singular = "ignore")
  moved <- function(i, by) {
    d[[name]][i] <- d[[name]][i] + by
    fitted(fit(spec, d, again, getME(m, "theta")))[i]
  }
  sum(sapply(seq_len(nrow(d)), function(i) (moved(i, step) - moved(i, -step)) / (2 * step)))
}

out <- list(versions = list(R = R.version.string, lme4 = as.character(packageVersion("lme4")),
  performance = as.character(packageVersion("performance")),
  cAIC4 = as.character(packageVersion("cAIC4")), car = as.character(packageVersion("car"))))
for (id in names(models)) {
  spec <- models[[id]]
  d <- frame(spec[[1]])
  m <- fit(spec, d)
  has_slopes_outside <- id == "machines_slopes_reml"
  r <- if (has_slopes_outside) NULL else suppressWarnings(r2_nakagawa(m))
  i <- if (has_slopes_outside) NULL else suppressWarnings(icc(m))
  pca <- rePCA(m)
  ca <- if (is.null(spec[[4]])) cAIC(m) else NULL
  fields <- list(dataset = spec[[1]], formula = deparse1(spec[[2]]), weights = spec[[4]], theta = unname(getME(m, "theta")), reml = spec[[3]],
    var_fixed = var(as.vector(getME(m, "X") %*% fixef(m))), johnson = johnson(m), sigma = sigma(m),
    repca = lapply(unclass(pca), function(p) list(sdev = p$sdev, rotation = unname(p$rotation))),
    conditional_llf = sum(dnorm(getME(m, "y"), fitted(m), sigma(m) / sqrt(weights(m)), log = TRUE)),
    trace_hat = sum(hatvalues(m)))
  if (!is.null(r)) fields$r2 <- list(marginal = unname(r$R2_marginal), conditional = unname(r$R2_conditional))
  if (!is.null(i)) fields$icc <- list(adjusted = i$ICC_adjusted, unadjusted = i$ICC_unadjusted)
  if (!is.null(ca)) fields$caic4 <- list(df = ca$df, llf = ca$loglikelihood, caic = ca$caic)
  fields$generalized_df <- generalized_df(m, spec, d)
  if (id == "sleep_quad_reml") fields$vif <- as.list(vif(m))
  out[[id]] <- fields
  cat(id, format(Sys.time()), fields$generalized_df, fields$caic4$df, fields$trace_hat, "\n")
}

d <- frame("cake")
d$recipe <- factor(d$recipe)
m <- lmer(angle ~ recipe + temp + I(temp^2) + (1 | recipe:replicate), d, control = tight)
v <- vif(m)
out$vif_cake <- list(dataset = "cake", formula = "angle ~ recipe + temp + I(temp^2) + (1 | recipe:replicate)",
                     theta = unname(getME(m, "theta")), terms = rownames(v), gvif = unname(v[, 1]),
                     df = unname(v[, 2]), scaled = unname(v[, 3]))

write(toJSON(out, digits = NA, auto_unbox = TRUE, matrix = "rowmajor", pretty = FALSE), target)
